/** Binary framing of the media socket: a 16-byte little-endian header, then the payload. */

export const MEDIA_KIND = { pcm16: 1, opus: 2, jpeg: 3, faceFeatures: 4, speechFeatures: 5 } as const;
export type MediaKind = keyof typeof MEDIA_KIND;

export const HEADER_BYTES = 16;

/**
 * One message of the media socket.
 *
 * @param sequence the client's own counter of this modality, 0..2^32-1, strictly rising
 * @param capturedAtUs when the light or the first sample reached the sensor, microseconds on the client's clock
 */
export function encodeMedia(
  kind: MediaKind,
  sequence: number,
  capturedAtUs: number,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(HEADER_BYTES + payload.byteLength);
  const header = new DataView(message.buffer);
  header.setUint8(0, MEDIA_KIND[kind]);
  header.setUint32(4, sequence, true);
  header.setBigInt64(8, BigInt(Math.round(capturedAtUs)), true);
  message.set(payload, HEADER_BYTES);
  return message;
}

/** The reverse of {@link encodeMedia}; null if the message is no such frame. */
export function decodeMedia(
  message: Uint8Array,
): { kind: MediaKind; sequence: number; capturedAtUs: number; payload: Uint8Array } | null {
  if (message.byteLength < HEADER_BYTES) return null;
  const header = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const number = header.getUint8(0);
  const kind = (Object.keys(MEDIA_KIND) as MediaKind[]).find((name) => MEDIA_KIND[name] === number);
  if (kind === undefined) return null;
  return {
    kind,
    sequence: header.getUint32(4, true),
    capturedAtUs: Number(header.getBigInt64(8, true)),
    payload: message.subarray(HEADER_BYTES),
  };
}
