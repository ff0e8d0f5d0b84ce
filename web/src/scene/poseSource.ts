import type { Pose } from "../stream/pose";
import type { TimelineState } from "../stream/timeline";

/** Where an avatar's pose comes from: asked once a rendered frame. An AvatarStream is one. */
export interface PoseSource {
  /** The pose is a record to be looked at: the avatar takes it as it is, without the page's own smoothing and breath. */
  readonly exact?: boolean;
  /** Writes the pose for this instant; anything but "live" means that the avatar rests. */
  sample(pose: Pose): TimelineState;
}
