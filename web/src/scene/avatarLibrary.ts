/** Which avatar is shown: ours, or one that a person has opened. No React. */

import { AvatarError, type AvatarModel } from "../avatar/avatarModel";
import { fetchAvatar, type LoadOptions, loadAvatarFile } from "../avatar/loadAvatar";
import { Store } from "../stream/store";

export interface AvatarChoice {
  /** Null until the first one has been loaded. */
  readonly model: AvatarModel | null;
  /** Whether it is ours. */
  readonly own: boolean;
  /** The name of the file that is being read. */
  readonly loading: string | null;
  /** About the last one opened: why it cannot be shown, or what it lacks. */
  readonly note: { readonly kind: "error" | "hint"; readonly text: string } | null;
}

export const OWN_NAME = "The default avatar";
/** Set by the page's build: names that hold the content's hash. The library, and pages in development, have none. */
declare const __OWN_URL__: string | undefined;
declare const __OWN_LIGHT_URL__: string | undefined;

/** Where the page's server has the two variants of our model. */
export const OWN_URL = typeof __OWN_URL__ === "string" ? __OWN_URL__ : "models/avatar.glb";
export const OWN_LIGHT_URL =
  typeof __OWN_LIGHT_URL__ === "string" ? __OWN_LIGHT_URL__ : "models/avatar-light.glb";

export class AvatarLibrary {
  readonly choice = new Store<AvatarChoice>({ model: null, own: true, loading: null, note: null });
  readonly #ownUrl: string;
  readonly #options: LoadOptions;
  #own: Promise<AvatarModel> | null = null;
  /** Counts what was asked for: of two files opened at once, the later one stays. */
  #asked = 0;

  constructor(ownUrl: string = OWN_URL, options: LoadOptions = {}) {
    this.#ownUrl = ownUrl;
    this.#options = options;
  }

  /** Shows our avatar; the same object each time. */
  async showOwn(): Promise<void> {
    this.#own ??= fetchAvatar(this.#ownUrl, OWN_NAME, this.#options);
    const own = this.#own;
    // A page that was offline may try again.
    own.catch(() => {
      this.#own = null;
    });
    await this.#show(OWN_NAME, true, own);
  }

  /** Shows a GLB or VRM; what cannot be shown leaves the present avatar, and says why. */
  async open(file: File): Promise<void> {
    await this.#show(file.name, false, loadAvatarFile(file, this.#options));
  }

  /** Takes away what the last file has left to say. */
  dismiss(): void {
    this.choice.set({ ...this.choice.get(), note: null });
  }

  async #show(name: string, own: boolean, loading: Promise<AvatarModel>): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    this.choice.set({ ...this.choice.get(), loading: name, note: null });
    try {
      const model = await loading;
      if (asked !== this.#asked) {
        if (!own) model.dispose();
        return;
      }
      const last = this.choice.get();
      this.choice.set({ model, own, loading: null, note: own ? null : hintOf(model) });
      if (!last.own) last.model?.dispose();
    } catch (error) {
      if (asked !== this.#asked) return;
      this.choice.set({
        ...this.choice.get(),
        loading: null,
        note: { kind: "error", text: sentence(error, name) },
      });
    }
  }
}

function hintOf({ name, missing }: AvatarModel): AvatarChoice["note"] {
  if (missing.length === 0) return null;
  const names =
    missing.length > 5
      ? `${missing.slice(0, 4).join(", ")} and ${missing.length - 4} more`
      : missing.join(", ");
  return {
    kind: "hint",
    text: `${name} lacks ${missing.length} of the 52 ARKit shapes: ${names}. It follows with the others.`,
  };
}

function sentence(error: unknown, name: string): string {
  if (error instanceof AvatarError) return error.message;
  console.error(error);
  return `${name} could not be shown; the browser's console has more.`;
}
