/** From a file's bytes to an avatar. Nothing is fetched but the decoder of Draco meshes, from the page's own server. */

import { MeshoptDecoder } from "three/examples/jsm/libs/meshopt_decoder.module.js";
import { DRACOLoader } from "three/examples/jsm/loaders/DRACOLoader.js";
import { type GLTF, GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { AvatarError, type AvatarModel } from "./avatarModel";
import { GlbAvatar } from "./glbAvatar";
import { checkSize, readGlb, shorten } from "./glbFile";
import type { MorphedBy } from "./processorMorph";
import { readTarget } from "./targetNames";

export interface LoadOptions {
  /** Folder of Draco's decoder, with a slash at its end; by default `draco/` beside the page. */
  readonly dracoPath?: string;
  /** "processor" where a software renderer draws; it is "graphics" by default. */
  readonly morphs?: MorphedBy;
}

/**
 * Makes an avatar of a GLB or VRM.
 *
 * @param name the file's, for messages and for the avatar
 * @throws AvatarError with a sentence for a person, when the file cannot be one
 */
export async function loadAvatar(
  bytes: ArrayBuffer,
  name: string,
  options: LoadOptions = {},
): Promise<AvatarModel> {
  const facts = readGlb(bytes, name);
  const shapes = [...facts.targets, ...facts.expressions].filter((target) => readTarget(target) !== null);
  if (shapes.length === 0 && !facts.vrm) {
    throw new AvatarError(
      "no_arkit_names",
      `${name} has morph targets, but none with ARKit's names: it has ${shorten(facts.targets)}. It lacks all 52, such as eyeBlinkLeft, jawOpen and mouthSmileLeft.`,
    );
  }
  const gltf = await parse(bytes, name, facts.vrm, options);
  const vrm: unknown = gltf.userData.vrm;
  if (vrm === undefined) return new GlbAvatar(gltf.scene, name, options.morphs);
  const { VrmAvatar } = await import("./vrmAvatar");
  return new VrmAvatar(vrm as ConstructorParameters<typeof VrmAvatar>[0], name);
}

/** The same for a file that a person has chosen or dropped; its size is checked before it is read. */
export async function loadAvatarFile(file: File, options: LoadOptions = {}): Promise<AvatarModel> {
  checkSize(file.size, file.name);
  return loadAvatar(await file.arrayBuffer(), file.name, options);
}

/** An avatar from the page's own server. @throws AvatarError also when it does not answer */
export async function fetchAvatar(
  url: string,
  name: string,
  options: LoadOptions = {},
): Promise<AvatarModel> {
  return loadAvatar(await fetchGlb(url, name), name, options);
}

export async function fetchGlb(url: string, name: string): Promise<ArrayBuffer> {
  try {
    const answer = await fetch(url);
    if (answer.ok) return await answer.arrayBuffer();
    throw new AvatarError(
      "unreachable",
      `${name} could not be loaded: the server answered ${answer.status}.`,
    );
  } catch (cause) {
    if (cause instanceof AvatarError) throw cause;
    throw new AvatarError("unreachable", `${name} could not be loaded: the server cannot be reached.`, {
      cause,
    });
  }
}

async function parse(bytes: ArrayBuffer, name: string, vrm: boolean, options: LoadOptions): Promise<GLTF> {
  const loader = new GLTFLoader();
  loader.setMeshoptDecoder(MeshoptDecoder);
  const draco = new DRACOLoader().setDecoderPath(options.dracoPath ?? "draco/");
  loader.setDRACOLoader(draco);
  if (vrm) {
    const { VRMLoaderPlugin } = await import("@pixiv/three-vrm");
    loader.register((parser) => new VRMLoaderPlugin(parser));
  }
  try {
    return await loader.parseAsync(bytes, "");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AvatarError("damaged", `${name} could not be read: ${reason}`, { cause });
  } finally {
    draco.dispose();
  }
}
