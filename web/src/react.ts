/** affectstream as a library: components for React. */

export { AvatarGrid, type GridCell } from "./scene/AvatarGrid";
export { AvatarPicker } from "./scene/AvatarPicker";
export { type PoseSource, Stage } from "./scene/Stage";
