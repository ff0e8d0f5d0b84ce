/** A face in a few strokes, for browsers that cannot draw in 3D: it shows what the avatar's frames say. */

import { BLENDSHAPE_INDEX, type Blendshape, BONE_INDEX } from "../../protocol/vocabulary";
import type { Pose } from "../../stream/pose";

export interface SketchColors {
  readonly face: string;
  readonly line: string;
  readonly mouth: string;
}

/** Draws a head about the origin, one unit from its middle to its edge. */
export function drawSketch(context: CanvasRenderingContext2D, pose: Pose, colors: SketchColors): void {
  const of = (name: Blendshape): number => pose.blendshapes[BLENDSHAPE_INDEX[name]] ?? 0;
  const mean = (name: string): number =>
    (of(`${name}Left` as Blendshape) + of(`${name}Right` as Blendshape)) / 2;
  const turn = (pose.bones[BONE_INDEX.head_yaw] ?? 0) / 60;
  const nod = (pose.bones[BONE_INDEX.head_pitch] ?? 0) / 60;
  context.rotate(((pose.bones[BONE_INDEX.head_roll] ?? 0) * Math.PI) / 180);
  context.fillStyle = colors.face;
  circle(context, 0, 0, 1);
  context.fill();
  context.translate(turn * 0.6, nod * 0.6);
  context.strokeStyle = colors.line;
  context.fillStyle = colors.line;
  context.lineCap = "round";
  context.lineWidth = 0.075;
  const raised = of("browInnerUp") * 0.1 + mean("browOuterUp") * 0.1 - mean("browDown") * 0.12;
  for (const [side, name] of [
    [1, "Left"],
    [-1, "Right"],
  ] as const) {
    const open = Math.max(0.06, 1 - of(`eyeBlink${name}`) - 0.3 * of(`eyeSquint${name}`)) * 0.15;
    context.beginPath();
    context.ellipse(side * 0.36, -0.12, 0.11, open * (1 + 0.3 * of(`eyeWide${name}`)), 0, 0, 2 * Math.PI);
    context.fill();
    const tilt = 0.1 * mean("browDown") - 0.08 * of("browInnerUp");
    context.beginPath();
    context.moveTo(side * 0.2, -0.42 - raised + tilt);
    context.quadraticCurveTo(side * 0.36, -0.5 - raised, side * 0.52, -0.42 - raised);
    context.stroke();
  }
  const bend = 0.26 * (mean("mouthSmile") - mean("mouthFrown"));
  const width = 0.3 + 0.1 * mean("mouthSmile") + 0.08 * mean("mouthStretch") - 0.16 * of("mouthPucker");
  const gap = 0.34 * of("jawOpen");
  context.beginPath();
  context.moveTo(-width, 0.42 - bend / 2);
  context.quadraticCurveTo(0, 0.42 + bend / 2, width, 0.42 - bend / 2);
  context.quadraticCurveTo(0, 0.42 + bend + 2 * gap, -width, 0.42 - bend / 2);
  context.fillStyle = colors.mouth;
  context.fill();
  context.stroke();
}

function circle(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}
