/** One session's avatar on the wall: its frames in order, and what it feels. */

import type { AvatarFrame, EmotionUpdate } from "../protocol/messages";
import type { Pose } from "../stream/pose";
import { Store } from "../stream/store";
import { Timeline, type TimelineState } from "../stream/timeline";

/** Words on a small tile need not change more often. */
const PUBLISH_MS = 250;

export class SessionFeed {
  /** The newest update, a few times a second. */
  readonly emotion = new Store<EmotionUpdate | null>(null);
  readonly #timeline = new Timeline();
  #publishedAt = Number.NEGATIVE_INFINITY;

  take(message: AvatarFrame | EmotionUpdate, nowMs: number): void {
    if (message.type === "avatar_frame") this.#timeline.push(message, nowMs);
    else if (nowMs - this.#publishedAt >= PUBLISH_MS) {
      this.#publishedAt = nowMs;
      this.emotion.set(message);
    }
  }

  /** Writes the pose for this instant; called once a drawn frame. */
  sample(pose: Pose): TimelineState {
    return this.#timeline.sample(performance.now(), pose);
  }
}
