/** Brings any model's head to the place and size that the stage's camera looks at. */

import { Group, Mesh, type Object3D, Vector3 } from "three";

/** The head's joint and its top, in the stage's units. */
const STAGE = { joint: -0.62, top: 1.3, depth: -0.12 } as const;

/**
 * Wraps `model` so that its head stands around the origin, about two units high.
 *
 * @param head the head's bone; without it the head is taken for the upper end of what has a face
 */
export function frameHead(model: Object3D, head: Object3D | undefined): Group {
  model.updateWorldMatrix(true, true);
  const joint = new Vector3();
  let top = Number.NEGATIVE_INFINITY;
  let bottom = Number.POSITIVE_INFINITY;
  let widest = 0;
  const point = new Vector3();
  const middle = new Vector3();
  let count = 0;
  if (head !== undefined) head.getWorldPosition(joint);
  model.traverse((node) => {
    if (!(node instanceof Mesh) || !node.visible) return;
    if (head === undefined && node.morphTargetInfluences === undefined) return;
    const vertices = node.geometry.getAttribute("position").count;
    // A few thousand vertices say how high a head is.
    const stride = Math.max(1, Math.floor(vertices / 4_000));
    for (let i = 0; i < vertices; i += stride) {
      node.getVertexPosition(i, point).applyMatrix4(node.matrixWorld);
      top = Math.max(top, point.y);
      bottom = Math.min(bottom, point.y);
      widest = Math.max(widest, Math.abs(point.x));
      middle.add(point);
      count += 1;
    }
  });
  if (!Number.isFinite(top)) return new Group().add(model);
  if (head === undefined) {
    middle.divideScalar(count);
    const height = Math.min(top - bottom, 2.7 * widest);
    joint.set(middle.x, top - 0.85 * height, middle.z);
  }
  const factor = (STAGE.top - STAGE.joint) / Math.max(1e-6, top - joint.y);
  const frame = new Group().add(model);
  frame.scale.setScalar(factor);
  frame.position.set(-joint.x * factor, STAGE.joint - joint.y * factor, STAGE.depth - joint.z * factor);
  return new Group().add(frame);
}
