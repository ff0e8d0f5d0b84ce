/** Turns pictures into JPEG away from the page's thread, whose work is drawing. One at a time: asked, then answered. */

import { sendSize } from "./pictureSize";

export interface EncodeRequest {
  readonly picture: VideoFrame | ImageBitmap;
  readonly quality: number;
}

/** The JPEG's bytes; null if the picture could not be encoded. */
export type EncodeAnswer = ArrayBuffer | null;

// TypeScript's DOM library describes the page's thread, not a worker's.
declare function postMessage(message: EncodeAnswer, transfer: Transferable[]): void;

const canvas = new OffscreenCanvas(2, 2);
// The pixels are read back each time: keep them where the encoder can.
const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });

async function encode({ picture, quality }: EncodeRequest): Promise<EncodeAnswer> {
  try {
    const isBitmap = picture instanceof ImageBitmap;
    const { width, height } = sendSize(
      isBitmap ? picture.width : picture.displayWidth,
      isBitmap ? picture.height : picture.displayHeight,
    );
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context?.drawImage(picture, 0, 0, width, height);
  } finally {
    picture.close();
  }
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality });
  return await blob.arrayBuffer();
}

addEventListener("message", ({ data }: MessageEvent<EncodeRequest>) => {
  encode(data).then(
    (jpeg) => postMessage(jpeg, jpeg === null ? [] : [jpeg]),
    () => postMessage(null, []),
  );
});
