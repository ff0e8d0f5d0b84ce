/** The files that `npm run model` writes. */

import { buildAvatar, type Detail, FULL, LIGHT } from "./avatar";
import { writeGlb } from "./document";
import { occlusionOf } from "./occlusion";

/** The GLBs by name; always the same bytes. */
export async function avatarFiles(): Promise<Record<"avatar.glb" | "avatar-light.glb", Uint8Array>> {
  return { "avatar.glb": await avatarFile(FULL), "avatar-light.glb": await avatarFile(LIGHT) };
}

/** One GLB, as fine as `detail` says. */
export async function avatarFile(detail: Detail): Promise<Uint8Array> {
  const avatar = buildAvatar(detail);
  return writeGlb(avatar, occlusionOf(avatar));
}
