/**
 * affectstream as a library, without React: the protocol, the stream of avatar frames, and avatars that follow it.
 * Components for React are in `react.ts`.
 */

export { AvatarError, type AvatarModel, type AvatarProblem } from "./avatar/avatarModel";
export { MAX_AVATAR_BYTES } from "./avatar/glbFile";
export { fetchAvatar, type LoadOptions, loadAvatar, loadAvatarFile } from "./avatar/loadAvatar";
export type { MorphedBy } from "./avatar/processorMorph";
export { Rig } from "./avatar/rig";
export { CLOSE, closeSentence, isEnd, isFinal } from "./protocol/closeCodes";
export { type AvatarFrame, type EmotionUpdate, readMessage, type ServerMessage } from "./protocol/messages";
export {
  BLENDSHAPE_INDEX,
  BLENDSHAPES,
  type Blendshape,
  BONE_INDEX,
  BONES,
  type Bone,
  EMOTIONS,
  type Emotion,
  VISEME_INDEX,
  VISEMES,
  type Viseme,
} from "./protocol/vocabulary";
export { AvatarLibrary, OWN_LIGHT_URL, OWN_URL } from "./scene/avatarLibrary";
export { AvatarView, type ViewOptions } from "./scene/avatarView";
export { type GridCell, type GridOptions, GridRenderer } from "./scene/gridRenderer";
export type { PoseSource } from "./scene/poseSource";
export { AvatarStream, type Link, type Readout } from "./stream/avatarStream";
export { neutralPose, type Pose } from "./stream/pose";
export { SocketSource } from "./stream/socketSource";
export type { FrameSource, SourceEvents } from "./stream/source";
export { Store } from "./stream/store";
export { Timeline, type TimelineOptions, type TimelineState } from "./stream/timeline";
