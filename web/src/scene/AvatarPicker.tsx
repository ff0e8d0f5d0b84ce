/** Opens another avatar: a button, files dropped on the stage, and what there is to say about them. */

import {
  type ChangeEvent,
  type ReactElement,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import type { AvatarLibrary } from "./avatarLibrary";
import "./avatarPicker.css";

interface AvatarPickerProps {
  readonly library: AvatarLibrary;
}

/** Fills the stage that it is put into; takes drops on all of it. */
export function AvatarPicker({ library }: AvatarPickerProps): ReactElement {
  const { own, loading, note } = useSyncExternalStore(library.choice.subscribe, library.choice.get);
  const input = useRef<HTMLInputElement>(null);
  const area = useRef<HTMLDivElement>(null);
  const over = useDrops(area, (file) => void library.open(file));
  const choose = (event: ChangeEvent<HTMLInputElement>): void => {
    const file = event.target.files?.[0];
    if (file !== undefined) void library.open(file);
    event.target.value = "";
  };
  return (
    <div ref={area} className="avatar-picker">
      {over && <p className="avatar-drop">Drop a GLB or VRM to use it as the avatar</p>}
      <div className="avatar-tools">
        <input
          ref={input}
          type="file"
          accept=".glb,.vrm,model/gltf-binary"
          hidden
          data-testid="avatar-file"
          onChange={choose}
        />
        {!own && (
          <button type="button" className="avatar-button" onClick={() => void library.showOwn()}>
            Default avatar
          </button>
        )}
        <button
          type="button"
          className="avatar-button"
          title="Open a GLB or VRM with ARKit shapes, or drop one here"
          onClick={() => input.current?.click()}
        >
          Change avatar
        </button>
      </div>
      {loading !== null && !own && (
        <p className="avatar-note" role="status">
          Reading {loading}…
        </p>
      )}
      {note !== null && (
        <p
          className={`avatar-note ${note.kind}`}
          role={note.kind === "error" ? "alert" : "status"}
          data-testid="avatar-note"
        >
          {note.text}
          <button type="button" aria-label="Dismiss" onClick={() => library.dismiss()}>
            ×
          </button>
        </p>
      )}
    </div>
  );
}

/** Whether a file hovers over the area's parent, and what is to be done with one dropped. */
function useDrops(area: { readonly current: HTMLElement | null }, take: (file: File) => void): boolean {
  const [over, setOver] = useState(false);
  const taker = useRef(take);
  taker.current = take;
  useEffect(() => {
    const zone = area.current?.parentElement;
    if (zone == null) return;
    const abort = new AbortController();
    const hasFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const hover = (event: DragEvent): void => {
      if (!hasFile(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (!(event.relatedTarget instanceof Node && zone.contains(event.relatedTarget))) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file !== undefined) taker.current(file);
    };
    zone.addEventListener("dragover", hover, { signal: abort.signal });
    zone.addEventListener("dragleave", leave, { signal: abort.signal });
    zone.addEventListener("drop", drop, { signal: abort.signal });
    return () => abort.abort();
  }, [area]);
  return over;
}
