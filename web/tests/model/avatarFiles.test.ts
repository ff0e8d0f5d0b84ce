import { createHash } from "node:crypto";
import { validateBytes } from "gltf-validator";
import { Mesh, type Object3D, SkinnedMesh, Vector3 } from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { beforeAll, describe, expect, it } from "vitest";
import { LIGHT } from "../../model/avatar";
import { avatarFile, avatarFiles } from "../../model/files";
import { findBones } from "../../src/avatar/bones";
import { readGlb } from "../../src/avatar/glbFile";
import { loadAvatar } from "../../src/avatar/loadAvatar";
import { BLENDSHAPES, VISEMES } from "../../src/protocol/vocabulary";

const TARGETS = [...BLENDSHAPES, ...VISEMES.map((viseme) => `viseme_${viseme}`)];
const NAMES = ["avatar.glb", "avatar-light.glb"] as const;
const MODELLING_MS = 180_000;

let files: Awaited<ReturnType<typeof avatarFiles>>;
const bufferOf = (name: (typeof NAMES)[number]): ArrayBuffer => files[name].slice().buffer as ArrayBuffer;

beforeAll(async () => {
  Object.assign(globalThis, { self: globalThis });
  files = await avatarFiles();
}, MODELLING_MS);

describe.each(NAMES)("%s", (name) => {
  let scene: Object3D;
  const meshes = (): Mesh[] => {
    const found: Mesh[] = [];
    scene.traverse((node) => {
      if (node instanceof Mesh) found.push(node);
    });
    return found;
  };
  const soft = (): Mesh[] =>
    meshes().filter(({ morphTargetInfluences }) => morphTargetInfluences !== undefined);

  beforeAll(async () => {
    ({ scene } = await new GLTFLoader().parseAsync(bufferOf(name), ""));
  });

  it("passes the Khronos validator without an error or a warning", async () => {
    const { issues } = await validateBytes(files[name]);
    expect(issues.messages).toEqual([]);
    expect(issues.numErrors).toBe(0);
  });

  it("has at most 2 MB", () => {
    expect(files[name].byteLength).toBeLessThanOrEqual(2_000_000);
  });

  it("has ARKit's 52 shapes and the 15 visemes, by name and in order", () => {
    expect(TARGETS).toHaveLength(67);
    expect(readGlb(bufferOf(name), name).targets).toEqual(TARGETS);
    for (const mesh of soft()) expect(Object.keys(mesh.morphTargetDictionary ?? {})).toEqual(TARGETS);
  });

  it("moves something by every shape but silence", () => {
    for (const [place, target] of TARGETS.entries()) {
      const moves = soft().some((mesh) => {
        const deltas = mesh.geometry.morphAttributes.position?.[place];
        return deltas !== undefined && Array.from(deltas.array).some((value) => value !== 0);
      });
      expect(moves, target).toBe(target !== "viseme_sil");
    }
  });

  it("has bones for spine, neck, head and eyes, and a neck that is bound to them", () => {
    const bones = findBones(scene);
    expect(Object.keys(bones).sort()).toEqual(["head", "leftEye", "neck", "rightEye", "spine"]);
    expect(bones.leftEye?.getWorldPosition(new Vector3()).x).toBeGreaterThan(0.02);
    expect(meshes().some((mesh) => mesh instanceof SkinnedMesh && mesh.skeleton.bones.length === 3)).toBe(
      true,
    );
  });

  it("is as large as a person's head, and faces +z", () => {
    scene.updateWorldMatrix(true, true);
    const [face] = soft() as [Mesh];
    const points = Array.from({ length: face.geometry.getAttribute("position").count }, (_, i) =>
      face.getVertexPosition(i, new Vector3()).applyMatrix4(face.matrixWorld),
    );
    const heights = points.map(({ y }) => y);
    expect(Math.max(...heights) - Math.min(...heights)).toBeCloseTo(0.25, 1);
    const nose = points.reduce((tip, point) => (point.z > tip.z ? point : tip));
    expect(Math.abs(nose.x)).toBeLessThan(0.01);
    expect(nose.z).toBeGreaterThan(0.09);
  });

  it("loads like any other avatar, and lacks nothing", async () => {
    expect((await loadAvatar(bufferOf(name), name)).missing).toEqual([]);
  });
});

it("is the same bytes each time", { timeout: MODELLING_MS }, async () => {
  const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  expect(digest(await avatarFile(LIGHT))).toBe(digest(files["avatar-light.glb"]));
});
