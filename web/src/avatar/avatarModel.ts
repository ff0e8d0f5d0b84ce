/** What every avatar is to the rest of the page: something to show, that follows a rig. No React. */

import type { Object3D } from "three";
import type { Blendshape } from "../protocol/vocabulary";
import type { Rig } from "./rig";

export interface AvatarModel {
  /** Scaled and placed: the head about two units high around the origin, facing +z. */
  readonly root: Object3D;
  readonly name: string;
  /** ARKit shapes that the model cannot make; it follows the others. */
  readonly missing: readonly Blendshape[];
  /** Shows the rig's present state; once a rendered frame, `dt` seconds after the last. */
  apply(rig: Rig, dt: number): void;
  /** Frees what the graphics card holds. */
  dispose(): void;
}

export type AvatarProblem =
  | "too_large"
  | "not_glb"
  | "damaged"
  | "outside_parts"
  | "unsupported"
  | "no_morph_targets"
  | "no_arkit_names"
  | "unreachable";

/** A file that cannot be an avatar: what is wrong with it, and what to do, in a sentence or two for a person. */
export class AvatarError extends Error {
  override readonly name = "AvatarError";

  constructor(
    readonly problem: AvatarProblem,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
