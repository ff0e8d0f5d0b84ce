/** Longest edge of a picture that is sent, in pixels. */
export const LONG_EDGE = 640;
/** The server takes pictures up to 100 kB; stay clear of it. */
export const MOST_BYTES = 90_000;
const QUALITY = { most: 0.82, least: 0.4 } as const;

/** Size to send for a camera of `width` × `height`: never larger than it is, even numbers, the aspect kept. */
export function sendSize(width: number, height: number): { width: number; height: number } {
  const scale = Math.min(1, LONG_EDGE / Math.max(width, height));
  const even = (value: number): number => Math.max(2, Math.round((value * scale) / 2) * 2);
  return { width: even(width), height: even(height) };
}

/** JPEG quality for the next picture, given the last one's quality and size. */
export function nextQuality(quality: number, bytes: number): number {
  if (bytes > MOST_BYTES) return Math.max(QUALITY.least, quality * 0.8);
  if (bytes < MOST_BYTES / 2) return Math.min(QUALITY.most, quality * 1.02);
  return quality;
}

export const FIRST_QUALITY = QUALITY.most;
