/**
 * From the 52 blendshapes to Action Units, emotion and affect: the rules of the server's engine (the tables are its
 * own, see rules.json; why they are so stands in inference_workers/action_units.py and facial_affect.py). Pure.
 */

import { BLENDSHAPE_INDEX, type Blendshape, EMOTIONS } from "../protocol/vocabulary";
import rules from "./rules.json";

/** The Action Units in the order of the wire. */
export const AUS: readonly string[] = rules.aus;

const EVIDENCE: Readonly<Record<string, Readonly<Record<string, number>>>> = rules.affect.evidence;
const MEANINGS: Readonly<Record<string, readonly number[]>> = rules.affect.meanings;

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

/** Intensities 0..1 in the order of {@link AUS}, from weights in that of BLENDSHAPES. */
export function actionUnits(weights: ArrayLike<number>): number[] {
  const w = (name: Blendshape): number => weights[BLENDSHAPE_INDEX[name]] ?? 0;
  const sides = (name: string): number =>
    0.5 * (w(`${name}Left` as Blendshape) + w(`${name}Right` as Blendshape));
  const smile = sides("mouthSmile");
  const squint = sides("eyeSquint");
  const press = sides("mouthPress");
  const upperUp = sides("mouthUpperUp");
  const roll = 0.5 * (w("mouthRollLower") + w("mouthRollUpper"));
  const found: Readonly<Record<string, number>> = {
    AU01: w("browInnerUp"),
    AU02: sides("browOuterUp"),
    AU04: sides("browDown"),
    AU05: sides("eyeWide"),
    AU06: Math.max(sides("cheekSquint"), Math.min(squint, smile)),
    AU07: squint,
    AU09: sides("noseSneer"),
    AU10: upperUp,
    AU12: smile,
    AU14: sides("mouthDimple"),
    AU15: sides("mouthFrown"),
    AU17: w("mouthShrugLower"),
    AU18: w("mouthPucker"),
    AU20: sides("mouthStretch"),
    AU23: Math.min(press, roll),
    AU24: press,
    AU25: Math.max(sides("mouthLowerDown"), upperUp, w("jawOpen") - w("mouthClose")),
    AU26: w("jawOpen"),
    AU28: roll,
    AU45: sides("eyeBlink"),
  };
  return AUS.map((au) => clamp(found[au] ?? 0));
}

/** Probabilities in the order of EMOTIONS, and valence, arousal and dominance, of a face with these intensities. */
export function affectOf(aus: readonly number[]): { scores: number[]; affect: number[] } {
  const evidence = EMOTIONS.map((name) => {
    const terms = EVIDENCE[name];
    if (terms === undefined) return rules.affect.neutralEvidence;
    return Object.entries(terms).reduce((sum, [au, weight]) => sum + weight * (aus[AUS.indexOf(au)] ?? 0), 0);
  });
  const top = Math.max(...evidence);
  const raw = evidence.map((each) => Math.exp(rules.affect.sharpness * (each - top)));
  const total = raw.reduce((sum, each) => sum + each, 0);
  const scores = raw.map((each) => each / total);
  const affect = [0, 1, 2].map((axis) =>
    EMOTIONS.reduce((sum, name, index) => sum + (scores[index] ?? 0) * (MEANINGS[name]?.[axis] ?? 0), 0),
  );
  return { scores, affect };
}
