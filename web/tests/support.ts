import type { AvatarFrame } from "../src/protocol/messages";
import { BLENDSHAPE_INDEX, BLENDSHAPES, type Blendshape, BONES, VISEMES } from "../src/protocol/vocabulary";

/** A frame of the 30 Hz stream: sequence n is at n/30 s. */
export function frameAt(sequence: number, jawOpen = 0, discontinuity = false): AvatarFrame {
  return {
    type: "avatar_frame",
    sessionId: "s",
    timestampMs: (sequence * 1000) / 30,
    sequence,
    blendshapes: weights({ jawOpen }),
    visemes: new Float32Array(VISEMES.length),
    bones: new Float32Array(BONES.length),
    viseme: "sil",
    visemeConfidence: 0,
    glow: 0,
    discontinuity,
    hops: [],
  };
}

export function weights(given: Partial<Record<Blendshape, number>>): Float32Array {
  const values = new Float32Array(BLENDSHAPES.length);
  for (const [name, weight] of Object.entries(given)) values[BLENDSHAPE_INDEX[name as Blendshape]] = weight;
  return values;
}
