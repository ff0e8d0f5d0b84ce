/** Which ARKit shape or viseme a morph target is, by the names that tools give them. Pure. */

import { BLENDSHAPES, type Blendshape, VISEMES, type Viseme } from "../protocol/vocabulary";

export type Target =
  | { readonly kind: "blendshape"; readonly name: Blendshape }
  | { readonly kind: "viseme"; readonly name: Viseme };

const plain = (name: string): string => name.replace(/[^a-z0-9]/gi, "").toLowerCase();

const KNOWN: ReadonlyMap<string, Target> = new Map<string, Target>([
  ...BLENDSHAPES.map((name): [string, Target] => [plain(name), { kind: "blendshape", name }]),
  ...VISEMES.map((name): [string, Target] => [plain(`viseme_${name}`), { kind: "viseme", name }]),
  // Ready Player Me writes the two vowels by their letters.
  ["visemei", { kind: "viseme", name: "ih" }],
  ["visemeo", { kind: "viseme", name: "oh" }],
  ["visemeu", { kind: "viseme", name: "ou" }],
]);

/**
 * Reads `mouthSmileLeft`, `MouthSmileLeft`, `mouthSmile_L`, `blendShape1.mouthSmileLeft`, `viseme_aa`; null for any
 * other name.
 */
export function readTarget(name: string): Target | null {
  const last = name.slice(name.lastIndexOf(".") + 1);
  const sided = last.replace(/[_\-. ]L$/i, "Left").replace(/[_\-. ]R$/i, "Right");
  return KNOWN.get(plain(sided)) ?? KNOWN.get(plain(name)) ?? null;
}
