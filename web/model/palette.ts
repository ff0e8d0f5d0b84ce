/** The avatar's colours, linear RGB as glTF's vertex colours are. */

export type Rgb = readonly [r: number, g: number, b: number];

const linear = (value: number): number =>
  value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;

const rgb = (hex: string): Rgb => {
  const value = Number.parseInt(hex.slice(1), 16);
  return [linear((value >> 16) / 255), linear(((value >> 8) & 255) / 255), linear((value & 255) / 255)];
};

export const PALETTE = {
  skin: rgb("#f3c3a0"),
  blush: rgb("#ea8a74"),
  shade: rgb("#c9805f"),
  lips: rgb("#cf7168"),
  mouth: rgb("#7d2433"),
  throat: rgb("#24070e"),
  brow: rgb("#4a3038"),
  hair: rgb("#4b3040"),
  hairLight: rgb("#8a5a5c"),
  lash: rgb("#2b1a22"),
  eyeball: rgb("#fdfaf6"),
  eyeRim: rgb("#e3d3cd"),
  irisOuter: rgb("#14424f"),
  iris: rgb("#2f8f9b"),
  irisInner: rgb("#86d3c8"),
  pupil: rgb("#0b1016"),
  tooth: rgb("#fffaf2"),
  gum: rgb("#b4525c"),
  tongue: rgb("#dc727b"),
  jumper: rgb("#5a62d6"),
  jumperShade: rgb("#4349ac"),
  collar: rgb("#7a82ea"),
} as const;

export const blendRgb = (from: Rgb, to: Rgb, share: number): Rgb => [
  from[0] + (to[0] - from[0]) * share,
  from[1] + (to[1] - from[1]) * share,
  from[2] + (to[2] - from[2]) * share,
];
