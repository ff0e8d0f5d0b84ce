/**
 * Finds the face in the camera's pictures with MediaPipe's FaceLandmarker, away from the page's thread, whose work is
 * drawing. One picture at a time: asked, then answered. Everything it loads comes from the page's own server; the
 * version is pinned because later ones report usage to their maker.
 *
 * A classic worker, not a module: MediaPipe loads its WebAssembly by importScripts, which modules do not have.
 */

import { FaceLandmarker } from "@mediapipe/tasks-vision";
import loaderUrl from "../../node_modules/@mediapipe/tasks-vision/wasm/vision_wasm_internal.js?url";
import wasmUrl from "../../node_modules/@mediapipe/tasks-vision/wasm/vision_wasm_internal.wasm?url";
import type { FaceFeatures } from "../protocol/features";
import { boxOf, describeFace, FaceTrack } from "./face";

export type LandmarkerRequest =
  | { readonly model: string }
  | { readonly picture: VideoFrame | ImageBitmap; readonly atMs: number };

/** `ready` once the model is loaded; a picture's features (null: no face); or why nothing can be found. */
export type LandmarkerAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "face"; readonly face: FaceFeatures | null }
  | { readonly kind: "failed"; readonly reason: string };

// TypeScript's DOM library describes the page's thread, not a worker's.
declare function postMessage(message: LandmarkerAnswer): void;

let landmarker: FaceLandmarker | null = null;
const track = new FaceTrack();
let lastMs = 0;

async function load(model: string): Promise<void> {
  const options = { wasmLoaderPath: loaderUrl, wasmBinaryPath: wasmUrl };
  landmarker = await FaceLandmarker.createFromOptions(options, {
    baseOptions: { modelAssetPath: model, delegate: "CPU" },
    runningMode: "VIDEO",
    // With one face MediaPipe smooths the landmarks; with more it does not.
    numFaces: 1,
    outputFaceBlendshapes: true,
    outputFacialTransformationMatrixes: true,
  });
  warmUp(landmarker);
}

/** The first picture takes several times as long as the others: let it be a blank one. */
function warmUp(loaded: FaceLandmarker): void {
  lastMs += 1;
  loaded.detectForVideo(new ImageData(64, 64), lastMs);
}

function find(picture: VideoFrame | ImageBitmap, atMs: number): FaceFeatures | null {
  const isBitmap = picture instanceof ImageBitmap;
  const width = isBitmap ? picture.width : picture.displayWidth;
  const height = isBitmap ? picture.height : picture.displayHeight;
  // MediaPipe wants whole, rising milliseconds.
  lastMs = Math.max(lastMs + 1, Math.round(atMs));
  const found = landmarker?.detectForVideo(picture, lastMs);
  const landmarks = found?.faceLandmarks[0];
  const blendshapes = found?.faceBlendshapes[0]?.categories;
  const transformation = found?.facialTransformationMatrixes[0]?.data;
  if (landmarks === undefined || blendshapes === undefined || transformation === undefined) {
    track.lost();
    return null;
  }
  const trackId = track.seen(boxOf(landmarks), atMs);
  return describeFace({ landmarks, blendshapes, transformation }, width, height, trackId);
}

addEventListener("message", ({ data }: MessageEvent<LandmarkerRequest>) => {
  if ("model" in data) {
    load(data.model).then(
      () => postMessage({ kind: "ready" }),
      (error: unknown) => postMessage({ kind: "failed", reason: String(error) }),
    );
    return;
  }
  try {
    postMessage({ kind: "face", face: find(data.picture, data.atMs) });
  } catch (error) {
    postMessage({ kind: "failed", reason: String(error) });
  } finally {
    data.picture.close();
  }
});
