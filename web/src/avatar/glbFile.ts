/** Looks into a GLB before anything is made of it. Pure: bytes in, facts or an AvatarError out. */

import { AvatarError } from "./avatarModel";

export const MAX_AVATAR_BYTES = 100 * 1024 * 1024;

/** What the file says about itself. */
export interface GlbFacts {
  /** Names of all morph targets; an unnamed one is left out. */
  readonly targets: readonly string[];
  readonly unnamedTargets: number;
  readonly expressions: readonly string[];
  readonly vrm: boolean;
}

const MAGIC = 0x46546c67;
const JSON_CHUNK = 0x4e4f534a;
const SUPPORTED = new Set([
  "EXT_mesh_gpu_instancing",
  "EXT_meshopt_compression",
  "KHR_draco_mesh_compression",
  "KHR_lights_punctual",
  "KHR_mesh_quantization",
  "KHR_texture_transform",
  "EXT_texture_webp",
  "EXT_texture_avif",
  "VRM",
]);
/** Extensions of materials and of VRM that a model can be shown without, or that the loaders know. */
const SUPPORTED_FAMILIES = /^(KHR_materials_|VRMC_)/;

interface Gltf {
  readonly asset?: { readonly version?: string };
  readonly extensionsRequired?: readonly string[];
  readonly buffers?: readonly { readonly uri?: string }[];
  readonly images?: readonly { readonly uri?: string }[];
  readonly meshes?: readonly {
    readonly extras?: { readonly targetNames?: readonly string[] };
    readonly primitives?: readonly { readonly targets?: readonly unknown[] }[];
  }[];
  readonly extensions?: {
    readonly VRM?: {
      readonly blendShapeMaster?: { readonly blendShapeGroups?: readonly { readonly name?: string }[] };
    };
    readonly VRMC_vrm?: {
      readonly expressions?: {
        readonly preset?: Readonly<Record<string, unknown>>;
        readonly custom?: Readonly<Record<string, unknown>>;
      };
    };
  };
}

/**
 * @param name the file's, for messages
 * @throws AvatarError when the bytes are no whole GLB of glTF 2.0, need what is not here, or have no morph targets
 */
export function readGlb(bytes: ArrayBuffer, name: string): GlbFacts {
  checkSize(bytes.byteLength, name);
  const gltf = readJson(bytes, name);
  const outside = [...(gltf.buffers ?? []), ...(gltf.images ?? [])]
    .map(({ uri }) => uri)
    .filter((uri): uri is string => typeof uri === "string" && !uri.startsWith("data:"));
  if (outside.length > 0) {
    throw new AvatarError(
      "outside_parts",
      `${name} needs other files (${shorten(outside)}). Nothing is fetched from outside: export it with everything inside.`,
    );
  }
  const foreign = (gltf.extensionsRequired ?? []).filter(
    (extension) => !SUPPORTED.has(extension) && !SUPPORTED_FAMILIES.test(extension),
  );
  if (foreign.length > 0) {
    throw new AvatarError(
      "unsupported",
      `${name} needs glTF extensions that are not supported here: ${foreign.join(", ")}.`,
    );
  }
  const facts = factsOf(gltf);
  if (facts.targets.length === 0 && facts.expressions.length === 0) {
    const why = facts.unnamedTargets > 0 ? "its morph targets have no names" : "it has no morph targets";
    throw new AvatarError(
      "no_morph_targets",
      `${name} cannot show expressions: ${why}. An avatar needs morph targets with ARKit's names, such as eyeBlinkLeft, browInnerUp, jawOpen and mouthSmileLeft.`,
    );
  }
  return facts;
}

/** @throws AvatarError when a file of that many bytes is not taken */
export function checkSize(size: number, name: string): void {
  if (size <= MAX_AVATAR_BYTES) return;
  const mega = Math.ceil(size / 1024 / 1024);
  throw new AvatarError(
    "too_large",
    `${name} has ${mega} MB; an avatar may have ${MAX_AVATAR_BYTES / 1024 / 1024} MB at most.`,
  );
}

function readJson(bytes: ArrayBuffer, name: string): Gltf {
  const view = new DataView(bytes);
  if (bytes.byteLength < 20 || view.getUint32(0, true) !== MAGIC) {
    const text = new TextDecoder().decode(bytes.slice(0, 64)).trimStart();
    const hint = text.startsWith("{")
      ? "it looks like a .gltf text file, whose parts lie in other files"
      : "its first bytes are not glTF's";
    throw new AvatarError(
      "not_glb",
      `${name} is not a GLB or VRM file: ${hint}. Export the model as GLB (binary glTF 2.0).`,
    );
  }
  const version = view.getUint32(4, true);
  if (version !== 2) throw new AvatarError("not_glb", `${name} is glTF ${version}; version 2 is needed.`);
  const textSize = view.getUint32(12, true);
  if (
    view.getUint32(8, true) > bytes.byteLength ||
    20 + textSize > bytes.byteLength ||
    view.getUint32(16, true) !== JSON_CHUNK
  ) {
    throw new AvatarError("damaged", `${name} is damaged or cut off: it is shorter than it says.`);
  }
  try {
    const gltf: unknown = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 20, textSize)));
    if (typeof gltf === "object" && gltf !== null) return gltf;
  } catch (cause) {
    throw new AvatarError("damaged", `${name} is damaged: its description cannot be read.`, { cause });
  }
  throw new AvatarError("damaged", `${name} is damaged: its description is empty.`);
}

function factsOf({ meshes = [], extensions = {} }: Gltf): GlbFacts {
  const targets = new Set<string>();
  let unnamedTargets = 0;
  for (const { extras, primitives = [] } of meshes) {
    const names = extras?.targetNames ?? [];
    for (const name of names) if (typeof name === "string") targets.add(name);
    if (names.length === 0) unnamedTargets += primitives[0]?.targets?.length ?? 0;
  }
  const { VRM: zero, VRMC_vrm: one } = extensions;
  const expressions = [
    ...(zero?.blendShapeMaster?.blendShapeGroups ?? []).flatMap(({ name }) =>
      name === undefined ? [] : [name],
    ),
    ...Object.keys(one?.expressions?.preset ?? {}),
    ...Object.keys(one?.expressions?.custom ?? {}),
  ];
  return { targets: [...targets], unnamedTargets, expressions, vrm: zero !== undefined || one !== undefined };
}

/** The first few of a list, and how many more there are. */
export function shorten(names: readonly string[], most = 6): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
