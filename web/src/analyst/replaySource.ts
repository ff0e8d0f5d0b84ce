/** What a replayed avatar follows: exactly the tick on which the playhead stands, without any smoothing of the page's own. */

import type { PoseSource } from "../scene/poseSource";
import type { Pose } from "../stream/pose";
import type { TimelineState } from "../stream/timeline";
import type { Playhead } from "./playhead";
import { poseAt } from "./ticks";
import type { Track } from "./track";

export class ReplaySource implements PoseSource {
  readonly exact = true;
  readonly #track: Track;
  readonly #playhead: Playhead;
  /** The sequence that was last written; null: none yet. */
  shown: number | null = null;

  constructor(track: Track, playhead: Playhead) {
    this.#track = track;
    this.#playhead = playhead;
  }

  sample(pose: Pose): TimelineState {
    const found = this.#track.at(this.#playhead.position.get().sequence);
    if (found === null) return "empty";
    poseAt(found.ticks, found.row, pose);
    this.shown = found.ticks.sequences[found.row] ?? null;
    return "live";
  }

  /** Names what the next drawing shows: the same name, the same picture. */
  get frame(): string {
    const found = this.#track.at(this.#playhead.position.get().sequence);
    return found === null ? "none" : String(found.ticks.sequences[found.row]);
  }
}
