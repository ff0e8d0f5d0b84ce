/** Small GLBs for tests, written by hand. */

interface Parts {
  readonly targets?: readonly string[];
  /** Without it, the file's targets have no names. */
  readonly named?: boolean;
  readonly gltf?: Readonly<Record<string, unknown>>;
}

/** One triangle in a head's place, with the morph targets of those names. */
export function smallGlb({ targets = [], named = true, gltf = {} }: Parts = {}): ArrayBuffer {
  const positions = new Float32Array([-0.1, 1.5, 0, 0.1, 1.5, 0, 0, 1.8, 0]);
  const buffer = new Uint8Array(positions.buffer);
  const json = {
    asset: { version: "2.0" },
    scene: 0,
    scenes: [{ nodes: [0, 1] }],
    nodes: [
      { name: "Face", mesh: 0 },
      { name: "mixamorig:Head", translation: [0, 1.5, 0] },
    ],
    meshes: [
      {
        primitives: [
          {
            attributes: { POSITION: 0 },
            ...(targets.length > 0 && { targets: targets.map(() => ({ POSITION: 0 })) }),
          },
        ],
        ...(named && { extras: { targetNames: targets } }),
      },
    ],
    accessors: [
      { bufferView: 0, componentType: 5126, count: 3, type: "VEC3", min: [-0.1, 1.5, 0], max: [0.1, 1.8, 0] },
    ],
    bufferViews: [{ buffer: 0, byteLength: buffer.byteLength }],
    buffers: [{ byteLength: buffer.byteLength }],
    ...gltf,
  };
  return pack(JSON.stringify(json), buffer);
}

export function pack(text: string, binary: Uint8Array): ArrayBuffer {
  const written = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 4) * 4));
  const glb = new Uint8Array(28 + written.length + binary.length);
  const head = new DataView(glb.buffer);
  [0x46546c67, 2, glb.length, written.length, 0x4e4f534a].forEach((word, i) => {
    head.setUint32(4 * i, word, true);
  });
  glb.set(written, 20);
  head.setUint32(20 + written.length, binary.length, true);
  head.setUint32(24 + written.length, 0x004e4942, true);
  glb.set(binary, 28 + written.length);
  return glb.buffer;
}
