/** Writes the avatar as glTF 2.0: meshes with sparse morph targets under a skeleton, in metres, facing +z. */

import {
  type Accessor,
  Document,
  Format,
  GLB_BUFFER,
  type GLTF,
  type Buffer as GltfBuffer,
  Logger,
  type Material,
  type Node,
  NodeIO,
  type Primitive,
} from "@gltf-transform/core";
import { KHRMeshQuantization } from "@gltf-transform/extensions";
import { type Avatar, TARGETS } from "./avatar";
import { NECK } from "./bodyParts";
import { type Mesh, normalsOf } from "./mesh";
import { add, eyeCenter, scale, smoothstep, type Vec3 } from "./shape";

/** Metres of a head unit: the head is a quarter of a metre high. */
export const METRES = 0.12;
/** Heights of the joints above the waist, in head units relative to the head's origin. */
const JOINTS = { spine: -3.0, neck: -1.25, head: -0.62 } as const;
/** Quantised coordinates span this many head units to each side. */
const SPAN = 2;
/** A displacement below this, in head units, is none. */
const NEGLIGIBLE = 4e-4;

/** @returns the GLB's bytes; the same for the same avatar */
export async function writeGlb(avatar: Avatar, occlusion: Occlusion): Promise<Uint8Array> {
  const document = new Document();
  document.getRoot().getAsset().generator = "affectstream web/model";
  document.createExtension(KHRMeshQuantization).setRequired(true);
  const writer = new Writer(document);
  const spine = writer.node("Spine", null, [0, JOINTS.spine, -0.1]);
  const neck = writer.node("Neck", spine, [0, JOINTS.neck, -0.16]);
  const head = writer.node("Head", neck, [0, JOINTS.head, -0.12]);
  const face = document
    .createMesh("Face")
    .setExtras({ targetNames: TARGETS })
    .setWeights(TARGETS.map(() => 0));
  face.addPrimitive(writer.primitive(avatar.face, writer.material("Skin", 0.68), true, occlusion.face));
  face.addPrimitive(writer.primitive(avatar.features, writer.material("Features", 0.5), true, null));
  writer.quantised("Face", head).setMesh(face);
  const hair = document.createMesh("Hair");
  hair.addPrimitive(writer.primitive(avatar.hair, writer.material("Hair", 0.52), false, occlusion.hair));
  writer.quantised("Hair", head).setMesh(hair);
  const light = writer.material("Gleam", 1).setBaseColorFactor([0, 0, 0, 1]).setEmissiveFactor([1, 1, 1]);
  writer
    .quantised("Gleams", head)
    .setMesh(document.createMesh("Gleams").addPrimitive(writer.primitive(avatar.gleams, light, false, null)));
  const eyeball = document
    .createMesh("Eyeball")
    .addPrimitive(writer.primitive(avatar.eyeball, writer.material("Eyes", 0.28), false, null));
  for (const [name, side] of [
    ["LeftEye", 1],
    ["RightEye", -1],
  ] as const) {
    writer
      .node(name, head, eyeCenter(side))
      .setMesh(eyeball)
      .setScale([SPAN * METRES, SPAN * METRES, SPAN * METRES]);
  }
  writer
    .quantised("Body", spine)
    .setMesh(
      document
        .createMesh("Body")
        .addPrimitive(writer.primitive(avatar.body, writer.material("Jumper", 0.9), false, occlusion.body)),
    );
  const neckSkin = writer.skinned(
    avatar.neck,
    [spine, neck, head],
    writer.material("Neck", 0.68),
    occlusion.neck,
  );
  document.createScene("Avatar").addChild(spine).addChild(neckSkin);
  // What it has to say is about sparse accessors that would be smaller without being sparse: a few of many.
  const io = new NodeIO()
    .registerExtensions([KHRMeshQuantization])
    .setLogger(new Logger(Logger.Verbosity.ERROR));
  const { json, resources } = await io.writeJSON(document, { format: Format.GLB });
  return pack(json, resources[GLB_BUFFER] as Uint8Array);
}

/**
 * Packs glTF's text and numbers into one GLB. The library writes the values of sparse accessors as they are only where
 * they aren't normalised, so those were written as plain integers under this name, and are declared normalised here.
 */
function pack(json: GLTF.IGLTF, binary: Uint8Array): Uint8Array {
  for (const accessor of json.accessors ?? []) {
    if (accessor.name !== SPARSE) continue;
    accessor.normalized = true;
    delete accessor.name;
  }
  const text = new TextEncoder().encode(JSON.stringify(json));
  const [textSize, binarySize] = [Math.ceil(text.length / 4) * 4, Math.ceil(binary.length / 4) * 4];
  const glb = new Uint8Array(12 + 8 + textSize + 8 + binarySize).fill(0x20, 20 + text.length, 20 + textSize);
  const head = new DataView(glb.buffer);
  const word = (at: number, ...values: number[]): void => {
    for (const [i, value] of values.entries()) head.setUint32(at + 4 * i, value, true);
  };
  word(0, 0x46546c67, 2, glb.length, textSize, 0x4e4f534a);
  glb.set(text, 20);
  word(20 + textSize, binarySize, 0x004e4942);
  glb.set(binary, 28 + textSize);
  return glb;
}

const SPARSE = "sparse";

/** Light that reaches each vertex, 0..1, by mesh. */
export interface Occlusion {
  readonly face: readonly number[];
  readonly hair: readonly number[];
  readonly neck: readonly number[];
  readonly body: readonly number[];
}

class Writer {
  readonly #document: Document;
  readonly #buffer: GltfBuffer;
  /** Places of the joints in head units. */
  readonly #places = new Map<Node, Vec3>();

  constructor(document: Document) {
    this.#document = document;
    this.#buffer = document.createBuffer();
  }

  material(name: string, roughness: number): Material {
    return this.#document.createMaterial(name).setRoughnessFactor(roughness).setMetallicFactor(0);
  }

  /** A joint at a place given in head units around the head's origin. */
  node(name: string, parent: Node | null, at: Vec3): Node {
    const origin = parent === null ? ([0, 0, 0] as const) : (this.#places.get(parent) as Vec3);
    const node = this.#document.createNode(name);
    node.setTranslation([...scale(METRES, add(at, scale(-1, origin)))]);
    this.#places.set(node, at);
    parent?.addChild(node);
    return node;
  }

  /** A node for meshes in quantised head units, under a joint. */
  quantised(name: string, parent: Node): Node {
    const factor = SPAN * METRES;
    return this.node(name, parent, [0, 0, 0]).setScale([factor, factor, factor]);
  }

  primitive(mesh: Mesh, material: Material, morphs: boolean, light: readonly number[] | null): Primitive {
    const normals = normalsOf(mesh.positions, mesh.triangles);
    const primitive = this.#document
      .createPrimitive()
      .setMaterial(material)
      .setIndices(this.#accessor("SCALAR", Uint16Array.from(mesh.triangles), false))
      .setAttribute(
        "POSITION",
        this.#accessor("VEC3", quantise(mesh.positions, SPAN, 32767, Int16Array), true),
      )
      .setAttribute("NORMAL", this.#accessor("VEC3", quantise(normals, 1, 127, Int8Array), true))
      .setAttribute("COLOR_0", this.#colors(mesh, light));
    if (morphs) for (const name of TARGETS) primitive.addTarget(this.#target(mesh, normals, name));
    return primitive;
  }

  #target(mesh: Mesh, normals: readonly Vec3[], name: string): ReturnType<Document["createPrimitiveTarget"]> {
    const deltas = (mesh.morphs.get(name) ?? mesh.positions.map((): Vec3 => [0, 0, 0])).map(
      (delta): Vec3 => (Math.hypot(...delta) < NEGLIGIBLE ? [0, 0, 0] : delta),
    );
    const turned = normalsOf(
      mesh.positions.map((at, i) => add(at, deltas[i] as Vec3)),
      mesh.triangles,
    ).map((normal, i): Vec3 => {
      const turn = add(normal, scale(-1, normals[i] as Vec3));
      return Math.hypot(...turn) < 0.012 ? [0, 0, 0] : turn;
    });
    return this.#document
      .createPrimitiveTarget(name)
      .setAttribute(
        "POSITION",
        this.#accessor("VEC3", quantise(deltas, SPAN, 32767, Int16Array), false)
          .setSparse(true)
          .setName(SPARSE),
      )
      .setAttribute(
        "NORMAL",
        this.#accessor("VEC3", quantise(turned, 1, 127, Int8Array), false)
          .setSparse(true)
          .setName(SPARSE),
      );
  }

  /** A mesh bound to joints by height: the neck bends between the body and the head. */
  skinned(mesh: Mesh, joints: readonly Node[], material: Material, light: readonly number[] | null): Node {
    const inverse = joints.flatMap((joint) => {
      const [x, y, z] = scale(-METRES, this.#places.get(joint) as Vec3);
      return [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, y, z, 1];
    });
    const skin = this.#document
      .createSkin("Neck")
      .setInverseBindMatrices(this.#accessor("MAT4", Float32Array.from(inverse), false));
    for (const joint of joints) skin.addJoint(joint);
    const weights = mesh.positions.flatMap(([, y]) => {
      const head = smoothstep(NECK.bottom + 0.2, NECK.top, y);
      const body = smoothstep(NECK.bottom + 0.15, NECK.bottom - 0.1, y);
      return [body, 1 - body - head, head, 0];
    });
    // A joint without weight is named 0.
    const bound = weights.map((weight, i) => (weight > 0 ? i % 4 : 0));
    const normals = normalsOf(mesh.positions, mesh.triangles);
    const primitive = this.#document
      .createPrimitive()
      .setMaterial(material)
      .setIndices(this.#accessor("SCALAR", Uint16Array.from(mesh.triangles), false))
      .setAttribute(
        "POSITION",
        this.#accessor("VEC3", Float32Array.from(mesh.positions.flatMap((at) => scale(METRES, at))), false),
      )
      .setAttribute("NORMAL", this.#accessor("VEC3", Float32Array.from(normals.flat()), false))
      .setAttribute("COLOR_0", this.#colors(mesh, light))
      .setAttribute("JOINTS_0", this.#accessor("VEC4", Uint8Array.from(bound), false))
      .setAttribute("WEIGHTS_0", this.#accessor("VEC4", Float32Array.from(weights), false));
    return this.#document
      .createNode("NeckSkin")
      .setMesh(this.#document.createMesh("Neck").addPrimitive(primitive))
      .setSkin(skin);
  }

  #colors(mesh: Mesh, light: readonly number[] | null): Accessor {
    const values = mesh.colors.flatMap((color, i) => {
      const share = light?.[i] ?? 1;
      return [...color.map((value) => Math.round(65535 * Math.min(1, Math.max(0, value * share)))), 65535];
    });
    return this.#accessor("VEC4", Uint16Array.from(values), true);
  }

  #accessor(
    type: "SCALAR" | "VEC3" | "VEC4" | "MAT4",
    array: Parameters<Accessor["setArray"]>[0],
    normalized: boolean,
  ): Accessor {
    return this.#document
      .createAccessor()
      .setType(type)
      .setBuffer(this.#buffer)
      .setArray(array)
      .setNormalized(normalized);
  }
}

/** Vectors as normalised integers: `span` becomes `most`. */
function quantise<T extends Int16Array | Int8Array>(
  vectors: readonly Vec3[],
  span: number,
  most: number,
  kind: { from(values: number[]): T },
): T {
  return kind.from(
    vectors.flatMap((vector) =>
      vector.map((value) => Math.round(Math.max(-1, Math.min(1, value / span)) * most)),
    ),
  );
}
