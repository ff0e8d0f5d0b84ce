import { Euler, Mesh, Quaternion, Vector3 } from "three";
import { beforeAll, describe, expect, it } from "vitest";
import { AvatarError, type AvatarModel, type AvatarProblem } from "../../src/avatar/avatarModel";
import { MAX_AVATAR_BYTES, readGlb } from "../../src/avatar/glbFile";
import { loadAvatar, loadAvatarFile } from "../../src/avatar/loadAvatar";
import { Rig } from "../../src/avatar/rig";
import { BLENDSHAPE_INDEX, BLENDSHAPES, BONE_INDEX, VISEME_INDEX } from "../../src/protocol/vocabulary";
import { neutralPose, type Pose } from "../../src/stream/pose";
import { pack, smallGlb } from "./glbs";

beforeAll(() => {
  // three's loader asks for the window's global where it looks for a blob's address.
  Object.assign(globalThis, { self: globalThis });
});

const problem = async (bytes: ArrayBuffer): Promise<readonly [AvatarProblem, string]> => {
  const error: unknown = await loadAvatar(bytes, "mine.glb").catch((reason: unknown) => reason);
  if (!(error instanceof AvatarError)) throw new Error(`loaded, or failed otherwise: ${String(error)}`);
  return [error.problem, error.message];
};

const settled = (change: (pose: Pose) => void): Rig => {
  const rig = new Rig();
  const pose = neutralPose();
  change(pose);
  for (let t = 0; t < 2; t += 1 / 60) rig.update(pose, 1 / 60);
  return rig;
};

const face = (model: AvatarModel): Mesh => {
  const found: Mesh[] = [];
  model.root.traverse((node) => {
    if (node instanceof Mesh && node.morphTargetInfluences !== undefined) found.push(node);
  });
  return found[0] as Mesh;
};

describe("loadAvatar, for what cannot be an avatar", () => {
  it("says that other bytes are no GLB", async () => {
    const [kind, says] = await problem(new TextEncoder().encode("a picture, perhaps, or a song").buffer);
    expect(kind).toBe("not_glb");
    expect(says).toContain("mine.glb is not a GLB or VRM file");
    expect((await problem(new ArrayBuffer(3)))[0]).toBe("not_glb");
  });

  it("tells a .gltf text file from other files", async () => {
    const [kind, says] = await problem(new TextEncoder().encode('{"asset": {"version": "2.0"}}').buffer);
    expect(kind).toBe("not_glb");
    expect(says).toContain(".gltf text file");
  });

  it("finds a file that is cut off, or whose description is broken", async () => {
    const whole = smallGlb({ targets: ["jawOpen"] });
    expect((await problem(whole.slice(0, whole.byteLength - 10)))[0]).toBe("damaged");
    expect((await problem(pack("{ not json", new Uint8Array(4))))[0]).toBe("damaged");
    expect((await problem(pack("null", new Uint8Array(4))))[0]).toBe("damaged");
  });

  it("names morph targets as what is missing", async () => {
    const [kind, says] = await problem(smallGlb());
    expect(kind).toBe("no_morph_targets");
    for (const name of ["morph targets", "eyeBlinkLeft", "jawOpen", "mouthSmileLeft"])
      expect(says).toContain(name);
    const [unnamed, why] = await problem(smallGlb({ targets: ["jawOpen"], named: false }));
    expect(unnamed).toBe("no_morph_targets");
    expect(why).toContain("no names");
  });

  it("names the targets that it has, where none is ARKit's", async () => {
    const [kind, says] = await problem(smallGlb({ targets: ["Fat", "Thin"] }));
    expect(kind).toBe("no_arkit_names");
    expect(says).toContain("Fat, Thin");
  });

  it("takes nothing from outside", async () => {
    const gltf = { images: [{ uri: "https://elsewhere.example/skin.png" }] };
    const [kind, says] = await problem(smallGlb({ targets: ["jawOpen"], gltf }));
    expect(kind).toBe("outside_parts");
    expect(says).toContain("https://elsewhere.example/skin.png");
  });

  it("names an extension that it lacks", async () => {
    const gltf = { extensionsRequired: ["KHR_texture_basisu"] };
    const [kind, says] = await problem(smallGlb({ targets: ["jawOpen"], gltf }));
    expect(kind).toBe("unsupported");
    expect(says).toContain("KHR_texture_basisu");
  });

  it("does not even read a file of more than 100 MB", async () => {
    const file = { size: MAX_AVATAR_BYTES + 1, name: "big.vrm" } as File;
    await expect(loadAvatarFile(file)).rejects.toMatchObject({ problem: "too_large" });
    await expect(loadAvatarFile(file)).rejects.toThrow(/big\.vrm has 101 MB.*100 MB at most/);
  });
});

describe("readGlb", () => {
  it("knows a VRM by its extension, and its expressions", () => {
    const extensions = { VRMC_vrm: { expressions: { preset: { aa: {} }, custom: { JawOpen: {} } } } };
    expect(readGlb(smallGlb({ gltf: { extensions } }), "a.vrm")).toMatchObject({
      vrm: true,
      expressions: ["aa", "JawOpen"],
    });
  });
});

describe("GlbAvatar", () => {
  it("follows ARKit's shapes by the names that tools give them, and tells which it lacks", async () => {
    const model = await loadAvatar(
      smallGlb({ targets: ["jawOpen", "blendShape1.mouthSmile_L", "MouthSmileRight", "Fat", "viseme_aa"] }),
      "mine.glb",
    );
    const rig = settled(({ blendshapes, visemes }) => {
      blendshapes[BLENDSHAPE_INDEX.jawOpen] = 0.5;
      blendshapes[BLENDSHAPE_INDEX.mouthSmileLeft] = 0.25;
      blendshapes[BLENDSHAPE_INDEX.mouthSmileRight] = 0.75;
      visemes[VISEME_INDEX.aa] = 1;
    });
    model.apply(rig, 1 / 60);
    const influences = face(model).morphTargetInfluences as number[];
    // It has an ARKit mouth, which carries the visemes: the viseme's own morph stays at rest.
    [0.5, 0.25, 0.75, 0, 0].forEach((weight, i) => {
      expect(influences[i]).toBeCloseTo(weight, 2);
    });
    expect(model.missing).toHaveLength(BLENDSHAPES.length - 3);
    expect(model.missing).toContain("browInnerUp");
  });

  it("lets visemes move a mouth that has no ARKit shapes", async () => {
    const model = await loadAvatar(smallGlb({ targets: ["eyeBlinkLeft", "viseme_aa"] }), "mine.glb");
    model.apply(
      settled(({ visemes }) => {
        visemes[VISEME_INDEX.aa] = 1;
      }),
      1 / 60,
    );
    expect((face(model).morphTargetInfluences as number[])[1]).toBeCloseTo(1, 2);
  });

  it("turns the head's bone in the avatar's axes, and brings any size to the stage", async () => {
    const model = await loadAvatar(smallGlb({ targets: ["jawOpen"] }), "mine.glb");
    const rig = settled(({ bones }) => {
      bones[BONE_INDEX.head_yaw] = 20;
    });
    model.apply(rig, 1 / 60);
    const head = model.root.getObjectByName("mixamorigHead");
    const turn = new Euler().setFromQuaternion(
      head?.getWorldQuaternion(new Quaternion()) ?? new Quaternion(),
      "YXZ",
    );
    expect(turn.y).toBeCloseTo((20 * Math.PI) / 180, 2);
    model.root.updateWorldMatrix(true, true);
    const top = face(model).getVertexPosition(2, new Vector3()).applyMatrix4(face(model).matrixWorld);
    expect(top.y).toBeGreaterThan(1);
    expect(top.y).toBeLessThan(1.6);
  });
});
