/** The skeleton's part in an avatar: bones found by the names that tools give them, and turned in the avatar's own axes. */

import { type Object3D, Quaternion } from "three";
import type { Rig } from "./rig";

export type BoneName = "spine" | "neck" | "head" | "leftEye" | "rightEye";

/** Accepted names, best first, without prefix, case and punctuation. */
const NAMES: Readonly<Record<BoneName, readonly RegExp[]>> = {
  spine: [/^spine$/, /^spine0?1$/, /spine$/, /^chest$/, /^upperchest$/],
  neck: [/^neck$/, /^neck0?1$/, /neck$/],
  head: [/^head$/, /^head0?1$/, /head$/],
  leftEye: [/^(lefteye|eyeleft|eyel|leye|lefteyeball)$/, /(lefteye|eyeleft|leye|eyel)$/],
  rightEye: [/^(righteye|eyeright|eyer|reye|righteyeball)$/, /(righteye|eyeright|reye|eyer)$/],
};

const plain = (name: string): string =>
  name
    .replace(/^.*[:|]/, "")
    .replace(/[^a-z0-9]/gi, "")
    .toLowerCase();

/** Finds bones by name; joints of a skin are preferred to other nodes. */
export function findBones(root: Object3D): Partial<Record<BoneName, Object3D>> {
  const nodes: Object3D[] = [];
  root.traverse((node) => {
    if (!("isMesh" in node) || node.name.toLowerCase().includes("eye")) nodes.push(node);
  });
  nodes.sort((a, b) => Number("isBone" in b) - Number("isBone" in a));
  const found: Partial<Record<BoneName, Object3D>> = {};
  for (const [bone, names] of Object.entries(NAMES) as [BoneName, readonly RegExp[]][]) {
    for (const name of names) {
      const node = nodes.find((candidate) => name.test(plain(candidate.name)));
      if (node === undefined) continue;
      found[bone] = node;
      break;
    }
  }
  return found;
}

/** One bone, turned from its resting pose by rotations in the avatar's axes. */
class Joint {
  readonly #node: Object3D;
  readonly #rest: Quaternion;
  readonly #parent: Quaternion;
  readonly #parentInverse: Quaternion;

  constructor(node: Object3D, root: Object3D) {
    this.#node = node;
    this.#rest = node.quaternion.clone();
    const world = node.parent?.getWorldQuaternion(new Quaternion()) ?? new Quaternion();
    this.#parent = root.getWorldQuaternion(new Quaternion()).invert().multiply(world);
    this.#parentInverse = this.#parent.clone().invert();
  }

  turn(rotation: Quaternion): void {
    this.#node.quaternion
      .copy(this.#parentInverse)
      .multiply(rotation)
      .multiply(this.#parent)
      .multiply(this.#rest);
  }
}

/** Turns a skeleton as a rig says. Made while the model rests. */
export class Skeleton {
  readonly #joints: Partial<Record<BoneName, Joint>> = {};

  /** @param root the avatar's, in whose axes rotations are given: x to its left, y up, z forward */
  constructor(bones: Partial<Record<BoneName, Object3D>>, root: Object3D, eyes: boolean) {
    root.updateWorldMatrix(true, true);
    for (const [name, node] of Object.entries(bones) as [BoneName, Object3D][]) {
      if (eyes || !name.endsWith("Eye")) this.#joints[name] = new Joint(node, root);
    }
  }

  apply(rig: Rig): void {
    this.#joints.spine?.turn(rig.body);
    this.#joints.neck?.turn(rig.neck);
    this.#joints.head?.turn(rig.head);
    this.#joints.leftEye?.turn(rig.leftEye);
    this.#joints.rightEye?.turn(rig.rightEye);
  }
}
