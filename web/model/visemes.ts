/** The 15 visemes as mixtures of ARKit shapes: the same mouths that the server's frames carry for them. */

import type { Blendshape, Viseme } from "../src/protocol/vocabulary";

type Recipe = Partial<Record<Blendshape, number>>;
const both = (
  stem: "mouthPress" | "mouthUpperUp" | "mouthLowerDown" | "mouthStretch",
  weight: number,
): Recipe => ({
  [`${stem}Left`]: weight,
  [`${stem}Right`]: weight,
});

export const VISEME_SHAPES: Readonly<Record<Viseme, Recipe>> = {
  sil: {},
  PP: { ...both("mouthPress", 0.5), mouthRollLower: 0.3, mouthRollUpper: 0.3 },
  FF: { mouthRollLower: 0.6, ...both("mouthUpperUp", 0.2), jawOpen: 0.05 },
  TH: { jawOpen: 0.15, tongueOut: 0.4, ...both("mouthLowerDown", 0.2) },
  DD: { jawOpen: 0.15, ...both("mouthLowerDown", 0.25), ...both("mouthUpperUp", 0.15) },
  kk: { jawOpen: 0.2, ...both("mouthLowerDown", 0.2), ...both("mouthStretch", 0.1) },
  CH: { jawOpen: 0.1, mouthFunnel: 0.5, mouthPucker: 0.2 },
  SS: { jawOpen: 0.05, ...both("mouthStretch", 0.35), ...both("mouthLowerDown", 0.2) },
  nn: { jawOpen: 0.12, ...both("mouthLowerDown", 0.2) },
  RR: { jawOpen: 0.15, mouthFunnel: 0.35, mouthPucker: 0.3 },
  aa: { jawOpen: 0.7, ...both("mouthLowerDown", 0.3), ...both("mouthUpperUp", 0.15) },
  E: { jawOpen: 0.35, ...both("mouthStretch", 0.35), ...both("mouthLowerDown", 0.25) },
  ih: { jawOpen: 0.25, ...both("mouthStretch", 0.3), ...both("mouthLowerDown", 0.2) },
  oh: { jawOpen: 0.45, mouthFunnel: 0.55 },
  ou: { jawOpen: 0.2, mouthFunnel: 0.2, mouthPucker: 0.75 },
};
