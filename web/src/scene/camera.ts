/** Where the camera stands, so that a head and its shoulders fill a picture of any shape. */

import type { PerspectiveCamera } from "three";

export const CAMERA = { fov: 26, distance: 7.4, height: 0.02 } as const;
/** Half the width, in the avatar's units, that must be in the picture. */
const HALF_WIDTH = 1.25;

export function placeCamera(camera: PerspectiveCamera, aspect: number): void {
  const half = Math.tan((CAMERA.fov * Math.PI) / 360);
  const distance = Math.max(CAMERA.distance, HALF_WIDTH / (half * aspect));
  camera.aspect = aspect;
  camera.position.set(0, CAMERA.height, distance);
  camera.lookAt(0, CAMERA.height - 0.09, 0);
  camera.updateProjectionMatrix();
}
