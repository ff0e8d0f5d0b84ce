import { Color } from "three";

/** A colour as three.js computes with it: linear RGB. */
export type Rgb = readonly [r: number, g: number, b: number];

const rgb = (hex: string): Rgb => {
  const { r, g, b } = new Color(hex);
  return [r, g, b];
};

export const PALETTE = {
  skin: rgb("#f2bd98"),
  blush: rgb("#e8826c"),
  lips: rgb("#d1766a"),
  mouth: rgb("#7a2430"),
  throat: rgb("#2a0a12"),
  brow: rgb("#3a2a3f"),
  hair: rgb("#42304d"),
  lash: rgb("#2a1c2c"),
  eyeball: rgb("#fbf7f2"),
  irisOuter: rgb("#1d4a58"),
  iris: rgb("#3f9aa6"),
  irisInner: rgb("#7cc9c4"),
  pupil: rgb("#10151c"),
  tooth: rgb("#fffaf2"),
  tongue: rgb("#d7707a"),
  jumper: rgb("#5b63d3"),
  collar: rgb("#7d84e6"),
  glow: rgb("#ffd479"),
} as const;

export const blendRgb = (from: Rgb, to: Rgb, share: number): Rgb => [
  from[0] + (to[0] - from[0]) * share,
  from[1] + (to[1] - from[1]) * share,
  from[2] + (to[2] - from[2]) * share,
];
