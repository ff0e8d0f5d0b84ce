import { type ReactElement, useEffect, useId, useRef, useState } from "react";
import { DeviceError } from "../capture/devices";
import type { LiveSession } from "../capture/liveSession";
import type { DeviceChoice } from "../capture/request";
import { DevicePicker } from "./DevicePicker";
import { useDevices } from "./useDevices";
import { useStore } from "./useStore";

interface RecordingBarProps {
  readonly live: LiveSession;
  readonly onStop: () => void;
}

/** While the person's own camera or microphone is on: says so, changes them, and stops them at one click. */
export function RecordingBar({ live, onStop }: RecordingBarProps): ReactElement {
  const notice = useStore(live.uplink.notice);
  const trouble = useStore(live.deviceTrouble);
  return (
    <div className="recording">
      <span className="pill" role="status" data-testid="recording">
        <span className="dot on-air" aria-hidden="true" />
        {whatIsOn(live)}
      </span>
      <DeviceMenu live={live} />
      <button type="button" className="button stop" onClick={onStop}>
        Stop
      </button>
      {trouble !== null && (
        <p className="recording-notice" role="alert">
          {trouble}
        </p>
      )}
      {notice !== null && (
        <p className="recording-notice" role="status">
          {notice}
        </p>
      )}
    </div>
  );
}

function whatIsOn({ request }: LiveSession): string {
  const { audio, video, store_raw: kept } = request.consent;
  const what = [video && "camera", audio && "microphone"].filter(Boolean).join(" and ");
  const on = `${what[0]?.toUpperCase()}${what.slice(1)} on`;
  if (request.onDevice) return `${on}, on this device`;
  return kept ? `${on}, recording kept` : on;
}

/** Other cameras and microphones, while the session goes on. */
function DeviceMenu({ live }: { readonly live: LiveSession }): ReactElement {
  const [open, setOpen] = useState(false);
  const turn = useRef(Promise.resolve());
  const [chosen, setChosen] = useState<DeviceChoice>({
    cameraId: live.request.cameraId,
    microphoneId: live.request.microphoneId,
  });
  const [failure, setFailure] = useState<string | null>(null);
  const { cameras, microphones } = useDevices(open);
  const place = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return;
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      setOpen(false);
      opener.current?.focus();
    };
    const onPress = (event: PointerEvent): void => {
      const inside = event.target instanceof Node && place.current?.parentElement?.contains(event.target);
      if (!inside) setOpen(false);
    };
    document.addEventListener("keydown", onKey);
    document.addEventListener("pointerdown", onPress);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("pointerdown", onPress);
    };
  }, [open]);
  const choose = (part: Partial<DeviceChoice>): void => {
    const wanted = { ...chosen, ...part };
    setChosen(wanted);
    setFailure(null);
    // One change after the other: a device that is being opened cannot be replaced.
    turn.current = turn.current.then(() => change(wanted, chosen));
  };
  const change = async (wanted: DeviceChoice, before: DeviceChoice): Promise<void> => {
    try {
      await live.choose(wanted);
    } catch (error) {
      setChosen(before);
      if (!(error instanceof DeviceError)) console.error(error);
      setFailure(error instanceof DeviceError ? error.message : "It could not be opened.");
    }
  };
  const { video, audio } = live.request.consent;
  return (
    <>
      <button
        ref={opener}
        type="button"
        className="button quiet icon"
        aria-label="Choose camera and microphone"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => setOpen(!open)}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M4 7h9M17 7h3M4 17h3M11 17h9M15 4.500v5M9 14.500v5" />
        </svg>
      </button>
      <div ref={place} id={id} className="devices" hidden={!open}>
        {video && (
          <DevicePicker
            label="Camera"
            options={cameras}
            value={chosen.cameraId}
            onPick={(cameraId) => choose({ cameraId })}
          />
        )}
        {audio && (
          <DevicePicker
            label="Microphone"
            options={microphones}
            value={chosen.microphoneId}
            onPick={(microphoneId) => choose({ microphoneId })}
          />
        )}
        {failure !== null && (
          <p className="hint" role="alert">
            {failure}
          </p>
        )}
      </div>
    </>
  );
}
