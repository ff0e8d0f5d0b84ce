import type { Pose } from "../stream/pose";
import type { TimelineState } from "../stream/timeline";

/** Where an avatar's pose comes from: asked once a rendered frame. An AvatarStream is one. */
export interface PoseSource {
  /** Writes the pose for this instant; anything but "live" means that the avatar rests. */
  sample(pose: Pose): TimelineState;
}
