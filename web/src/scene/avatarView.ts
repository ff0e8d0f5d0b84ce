/** One avatar on a canvas of one's own, without React: camera, lights, loop. */

import { PerspectiveCamera, Scene, WebGLRenderer } from "three";
import type { AvatarModel } from "../avatar/avatarModel";
import { Rig } from "../avatar/rig";
import { neutralPose } from "../stream/pose";
import { CAMERA, placeCamera } from "./camera";
import { stageLights, type Theme } from "./lights";
import type { PoseSource } from "./poseSource";

export interface ViewOptions {
  readonly theme?: Theme;
  readonly antialias?: boolean;
}

export class AvatarView {
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(CAMERA.fov, 1, 0.5, 30);
  readonly #rig = new Rig();
  readonly #pose = neutralPose();
  #model: AvatarModel | null = null;
  #lastMs = Number.NaN;

  /** What the avatar follows; null: it rests. */
  source: PoseSource | null = null;

  /** Draws from now on, as often as the screen shows. @throws Error where the canvas gives no WebGL 2 context */
  constructor(canvas: HTMLCanvasElement, { theme = "light", antialias = true }: ViewOptions = {}) {
    this.#renderer = new WebGLRenderer({ canvas, antialias, alpha: true });
    this.#renderer.setPixelRatio(Math.min(2, window.devicePixelRatio));
    this.#scene.add(...stageLights(theme));
    this.#renderer.setAnimationLoop((nowMs) => this.#draw(nowMs));
  }

  /** Shows a model in place of the last one, which is the caller's to dispose of. */
  show(model: AvatarModel): void {
    if (this.#model !== null) this.#scene.remove(this.#model.root);
    this.#model = model;
    this.#scene.add(model.root);
  }

  /** Stops drawing and frees the context; the model is the caller's. */
  dispose(): void {
    this.#renderer.setAnimationLoop(null);
    this.#renderer.dispose();
  }

  #draw(nowMs: number): void {
    const dt = Number.isNaN(this.#lastMs) ? 0 : (nowMs - this.#lastMs) / 1_000;
    this.#lastMs = nowMs;
    this.#fit();
    const live = this.source?.sample(this.#pose) === "live";
    this.#rig.update(live ? this.#pose : null, dt);
    this.#model?.apply(this.#rig, dt);
    this.#renderer.render(this.#scene, this.#camera);
  }

  #fit(): void {
    const { clientWidth: width, clientHeight: height } = this.#renderer.domElement;
    if (width === 0 || height === 0) return;
    placeCamera(this.#camera, width / height);
    this.#renderer.setSize(width, height, false);
  }
}
