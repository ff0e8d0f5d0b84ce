/** What each of the 15 visemes looks like, as weights of ARKit blendshapes. */

import { BLENDSHAPE_INDEX, BLENDSHAPES, type Blendshape, VISEMES, type Viseme } from "../protocol/vocabulary";

type Shape = Partial<Record<Blendshape, number>>;

const both = (name: string, weight: number): Shape => ({
  [`${name}Left`]: weight,
  [`${name}Right`]: weight,
});

/** Lip and jaw positions of the sounds named, by articulation: p b m; f v; th; t d; k g; ch sh; s z; n l; r; vowels. */
const SHAPES: Readonly<Record<Viseme, Shape>> = {
  sil: {},
  PP: { mouthRollLower: 0.35, mouthRollUpper: 0.3, ...both("mouthPress", 0.4) },
  FF: { jawOpen: 0.06, mouthRollLower: 0.55, ...both("mouthUpperUp", 0.3) },
  TH: { jawOpen: 0.14, tongueOut: 0.35, ...both("mouthUpperUp", 0.15), ...both("mouthLowerDown", 0.2) },
  DD: { jawOpen: 0.15, ...both("mouthUpperUp", 0.2), ...both("mouthLowerDown", 0.25) },
  kk: { jawOpen: 0.22, ...both("mouthStretch", 0.2), ...both("mouthLowerDown", 0.15) },
  CH: { jawOpen: 0.12, mouthFunnel: 0.55, mouthPucker: 0.15 },
  SS: {
    jawOpen: 0.06,
    ...both("mouthStretch", 0.35),
    ...both("mouthLowerDown", 0.3),
    ...both("mouthUpperUp", 0.2),
  },
  nn: { jawOpen: 0.12, ...both("mouthLowerDown", 0.25), ...both("mouthStretch", 0.12) },
  RR: { jawOpen: 0.14, mouthFunnel: 0.35, mouthPucker: 0.2 },
  aa: { jawOpen: 0.62, ...both("mouthLowerDown", 0.2), ...both("mouthUpperUp", 0.12) },
  E: {
    jawOpen: 0.34,
    ...both("mouthStretch", 0.3),
    ...both("mouthLowerDown", 0.25),
    ...both("mouthSmile", 0.12),
  },
  ih: {
    jawOpen: 0.22,
    ...both("mouthStretch", 0.28),
    ...both("mouthLowerDown", 0.2),
    ...both("mouthSmile", 0.15),
  },
  oh: { jawOpen: 0.42, mouthFunnel: 0.5, mouthPucker: 0.15 },
  ou: { jawOpen: 0.2, mouthPucker: 0.75, mouthFunnel: 0.25 },
};

const TABLE: readonly (readonly (readonly [place: number, weight: number])[])[] = VISEMES.map((viseme) =>
  BLENDSHAPES.flatMap((name) => {
    const weight = SHAPES[viseme][name];
    return weight === undefined ? [] : [[BLENDSHAPE_INDEX[name], weight] as const];
  }),
);

/** Adds the visemes' shapes onto `blendshapes`, each clamped to 1. Both are in the order of the vocabulary. */
export function addVisemes(visemes: Float32Array, blendshapes: Float32Array): void {
  for (let v = 0; v < TABLE.length; v += 1) {
    const amount = visemes[v] as number;
    if (amount <= 0) continue;
    for (const [place, weight] of TABLE[v] as (typeof TABLE)[number]) {
      blendshapes[place] = Math.min(1, (blendshapes[place] as number) + amount * weight);
    }
  }
}
