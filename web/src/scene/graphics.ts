/** What the browser draws 3D with: asked once, before the stage is made. */

export interface Graphics {
  /** False: there is no WebGL, and no stage can be drawn. */
  readonly available: boolean;
  /** Pixels of the canvas for one of the page's, at best. */
  readonly ratio: number;
  readonly antialias: boolean;
  /** The processor draws, and no graphics card. */
  readonly software: boolean;
  /** Drawn at most this often a second; 60 means as often as the screen shows. */
  readonly framesPerSecond: number;
}

const SOFTWARE = /llvmpipe|swiftshader|softpipe|software|basic render/i;

/**
 * A software renderer shares the processor with the camera's encoder and everything else: it draws fewer frames of
 * fewer pixels, and goes without smooth edges, which cost as much again as the picture.
 */
export function askGraphics(): Graphics {
  const context = document.createElement("canvas").getContext("webgl2");
  if (context === null)
    return { available: false, ratio: 1, antialias: false, software: true, framesPerSecond: 60 };
  const names = context.getExtension("WEBGL_debug_renderer_info");
  const renderer = names === null ? "" : String(context.getParameter(names.UNMASKED_RENDERER_WEBGL));
  context.getExtension("WEBGL_lose_context")?.loseContext();
  const software = SOFTWARE.test(renderer);
  return {
    available: true,
    ratio: software ? 0.75 : Math.min(2, window.devicePixelRatio),
    antialias: !software,
    software,
    framesPerSecond: software ? 20 : 60,
  };
}
