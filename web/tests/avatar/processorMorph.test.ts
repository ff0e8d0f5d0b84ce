import { BufferAttribute, BufferGeometry, Group, Mesh } from "three";
import { describe, expect, it } from "vitest";
import { ProcessorMorph } from "../../src/avatar/processorMorph";

/** Two vertices; target 0 moves the second up, target 1 turns its normal. */
function soft(): Mesh {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array([0, 0, 0, 1, 0, 0]), 3));
  geometry.setAttribute("normal", new BufferAttribute(new Float32Array([0, 0, 1, 0, 0, 1]), 3));
  geometry.morphTargetsRelative = true;
  const deltas = (...values: number[]): BufferAttribute => new BufferAttribute(new Float32Array(values), 3);
  geometry.morphAttributes = {
    position: [deltas(0, 0, 0, 0, 2, 0), deltas(0, 0, 0, 0, 0, 0)],
    normal: [deltas(0, 0, 0, 0, 0, 0), deltas(0, 0, 0, 0, 1, -1)],
  };
  const mesh = new Mesh(geometry);
  mesh.updateMorphTargets();
  return mesh;
}

describe("ProcessorMorph", () => {
  it("adds targets up by their weights, again and again from rest", () => {
    const mesh = soft();
    const morph = new ProcessorMorph(new Group().add(mesh));
    const influences = mesh.morphTargetInfluences as number[];
    const y = (name: "position" | "normal"): number => mesh.geometry.getAttribute(name).getY(1);
    influences[0] = 0.5;
    morph.update();
    morph.update();
    expect(y("position")).toBe(1);
    influences[0] = 0;
    influences[1] = 1;
    morph.update();
    expect(y("position")).toBe(0);
    expect(y("normal")).toBe(1);
  });

  it("leaves nothing to morph to the graphics card, and clones apart", () => {
    const one = soft();
    const other = one.clone();
    other.updateMorphTargets();
    const [first, second] = [one, other].map((mesh) => new ProcessorMorph(new Group().add(mesh)));
    (one.morphTargetInfluences as number[])[0] = 1;
    first?.update();
    second?.update();
    expect(one.geometry.morphAttributes.position).toBeUndefined();
    expect(one.geometry.getAttribute("position").getY(1)).toBe(2);
    expect(other.geometry.getAttribute("position").getY(1)).toBe(0);
  });
});
