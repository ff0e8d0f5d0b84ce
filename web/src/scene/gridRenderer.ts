/**
 * Many avatars in one canvas: one context, one copy of the light model's geometry, each avatar drawn into the part of
 * the canvas where its element lies. No React.
 */

import { Mesh, type MeshStandardMaterial, PerspectiveCamera, Scene, WebGLRenderer } from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { clone } from "three/examples/jsm/utils/SkeletonUtils.js";
import { disposeOf, GlbAvatar } from "../avatar/glbAvatar";
import { fetchGlb } from "../avatar/loadAvatar";
import { Rig } from "../avatar/rig";
import { neutralPose } from "../stream/pose";
import { OWN_LIGHT_URL, OWN_NAME } from "./avatarLibrary";
import { CAMERA, placeCamera } from "./camera";
import { stageLights, type Theme } from "./lights";
import type { PoseSource } from "./poseSource";
import { vertexLit } from "./vertexLight";

export interface GridCell {
  /** A key that stays keeps its avatar's state. */
  readonly key: string;
  /** Null: the avatar rests. */
  readonly source: PoseSource | null;
  /** The avatar is drawn where this element lies. */
  readonly element: HTMLElement;
}

interface Head {
  readonly rig: Rig;
  readonly model: GlbAvatar;
}

export interface GridOptions {
  readonly theme: Theme;
  readonly antialias: boolean;
  /** Pixels of the canvas for one of the page's. */
  readonly ratio: number;
  readonly modelUrl?: string;
}

export class GridRenderer {
  readonly #canvas: HTMLCanvasElement;
  readonly #renderer: WebGLRenderer;
  readonly #ratio: number;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(CAMERA.fov, 1, 0.5, 30);
  readonly #heads = new Map<string, Head>();
  readonly #pose = neutralPose();
  readonly #loaded: Promise<void>;
  #template: GlbAvatar["root"] | null = null;
  #cells: readonly GridCell[] = [];
  #closed = false;
  /** Heads drawn by the last `draw`. */
  drawn = 0;

  /** @throws Error where the canvas gives no WebGL 2 context */
  constructor(canvas: HTMLCanvasElement, { theme, antialias, ratio, modelUrl = OWN_LIGHT_URL }: GridOptions) {
    this.#canvas = canvas;
    this.#ratio = ratio;
    this.#renderer = new WebGLRenderer({ canvas, antialias, alpha: true });
    this.#renderer.setScissorTest(true);
    this.#renderer.autoClear = false;
    this.#scene.add(...stageLights(theme));
    this.#loaded = this.#load(modelUrl);
  }

  /** Rejects with an AvatarError when the model cannot be had. */
  get loaded(): Promise<void> {
    return this.#loaded;
  }

  setCells(cells: readonly GridCell[]): void {
    this.#cells = cells;
    const keys = new Set(cells.map(({ key }) => key));
    for (const [key, head] of this.#heads) {
      if (keys.has(key)) continue;
      this.#scene.remove(head.model.root);
      head.model.disposeOwn();
      this.#heads.delete(key);
    }
  }

  /** Draws every cell that can be seen, `dt` seconds after the last time. */
  draw(dt: number): void {
    if (this.#template === null || this.#closed) return;
    const box = this.#canvas.getBoundingClientRect();
    const rects = this.#cells.map(({ element }) => element.getBoundingClientRect());
    this.#fit(box);
    this.#renderer.setScissor(0, 0, box.width, box.height);
    this.#renderer.clear();
    this.drawn = 0;
    this.#cells.forEach((cell, i) => {
      const rect = rects[i] as DOMRect;
      if (outside(rect, box) || outside(rect, { left: 0, top: 0, right: innerWidth, bottom: innerHeight }))
        return;
      this.#drawHead(this.#head(cell.key), cell.source, rect, box, dt);
    });
  }

  dispose(): void {
    this.#closed = true;
    this.setCells([]);
    if (this.#template !== null) disposeOf(this.#template);
    this.#renderer.dispose();
  }

  async #load(url: string): Promise<void> {
    const { scene } = await new GLTFLoader().parseAsync(await fetchGlb(url, OWN_NAME), "");
    scene.traverse((node) => {
      if (!(node instanceof Mesh)) return;
      const given = node.material as MeshStandardMaterial;
      node.material = vertexLit(given);
      given.dispose();
    });
    if (this.#closed) disposeOf(scene);
    else this.#template = scene;
  }

  #head(key: string): Head {
    const known = this.#heads.get(key);
    if (known !== undefined) return known;
    const model = new GlbAvatar(clone(this.#template as Scene), key, "processor");
    const head = { rig: new Rig(), model };
    model.root.visible = false;
    this.#scene.add(head.model.root);
    this.#heads.set(key, head);
    return head;
  }

  #drawHead({ rig, model }: Head, source: PoseSource | null, rect: DOMRect, box: DOMRect, dt: number): void {
    const live = source?.sample(this.#pose) === "live";
    if (live && source?.exact) rig.hold(this.#pose);
    else rig.update(live ? this.#pose : null, dt);
    model.apply(rig);
    const left = rect.left - box.left;
    const bottom = box.bottom - rect.bottom;
    this.#renderer.setViewport(left, bottom, rect.width, rect.height);
    this.#renderer.setScissor(left, bottom, rect.width, rect.height);
    placeCamera(this.#camera, rect.width / rect.height);
    model.root.visible = true;
    this.#renderer.render(this.#scene, this.#camera);
    model.root.visible = false;
    this.drawn += 1;
  }

  #fit({ width, height }: DOMRect): void {
    const [w, h] = [Math.floor(width * this.#ratio), Math.floor(height * this.#ratio)];
    if (this.#canvas.width === w && this.#canvas.height === h) return;
    this.#renderer.setPixelRatio(this.#ratio);
    this.#renderer.setSize(width, height, false);
  }
}

interface Edges {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const outside = (rect: Edges, box: Edges): boolean =>
  rect.right <= box.left || rect.left >= box.right || rect.bottom <= box.top || rect.top >= box.bottom;
