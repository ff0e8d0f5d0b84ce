/** The stage's light: a warm key from the viewer's upper left, a cool fill, and a rim from behind. */

import { AmbientLight, DirectionalLight, HemisphereLight, type Object3D } from "three";

export type Theme = "light" | "dark";

const LIGHTS = {
  light: {
    sky: "#fff6ee",
    ground: "#f0cfc4",
    hemisphere: 1.7,
    key: 1.85,
    fill: 0.75,
    rim: 1.2,
    rimColor: "#ffe3ee",
  },
  dark: {
    sky: "#e8e2ff",
    ground: "#c8a4ae",
    hemisphere: 1.4,
    key: 1.95,
    fill: 0.65,
    rim: 2.1,
    rimColor: "#b9a8ff",
  },
} as const;

/** Lights for the theme, to be added to a scene whose avatar faces +z. */
export function stageLights(theme: Theme): Object3D[] {
  const { sky, ground, hemisphere, key, fill, rim, rimColor } = LIGHTS[theme];
  return [
    new HemisphereLight(sky, ground, hemisphere),
    new AmbientLight("#ffffff", 0.12),
    directional("#ffeedd", key, -2.4, 3.0, 4.6),
    directional("#dbe2ff", fill, 3.6, 0.4, 2.4),
    directional(rimColor, rim, 2.6, 2.4, -3.4),
    directional(rimColor, rim * 0.55, -3.2, 1.2, -3.0),
  ];
}

function directional(color: string, intensity: number, x: number, y: number, z: number): DirectionalLight {
  const light = new DirectionalLight(color, intensity);
  light.position.set(x, y, z);
  return light;
}
