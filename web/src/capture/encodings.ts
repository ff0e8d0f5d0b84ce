/** What goes out over WebRTC: size, rate and codecs that serve an analysis of a face and a voice. Pure. */

/** The face path works at 640 × 480 and 30 a second; more would only cost. */
const LONG_EDGE = 640;
const SHORT_EDGE = 480;
const MOST_FRAMES_PER_SECOND = 30;
/** Enough for a face at this size; a conference would take twice as much. */
const MOST_BITS_PER_SECOND = 1_200_000;

/** What the edge decodes, the cheapest for both sides first, and retransmission. */
const VIDEO_CODECS: readonly string[] = ["video/VP8", "video/H264", "video/rtx"];
const AUDIO_CODECS: readonly string[] = ["audio/opus", "audio/PCMU", "audio/PCMA"];

/** The encoding for a camera of this size; `asked`: no more pictures a second are wanted, null: as many as serve. */
export function videoEncoding(
  { width = 0, height = 0 }: MediaTrackSettings,
  asked: number | null = null,
): RTCRtpEncodingParameters {
  const scale = Math.max(1, Math.max(width, height) / LONG_EDGE, Math.min(width, height) / SHORT_EDGE);
  return {
    scaleResolutionDownBy: scale,
    maxFramerate: Math.min(MOST_FRAMES_PER_SECOND, asked ?? MOST_FRAMES_PER_SECOND),
    maxBitrate: MOST_BITS_PER_SECOND,
  };
}

/** Of a browser's codecs those that the edge knows, in the order of preference. */
export function preferredCodecs<T extends { readonly mimeType: string }>(
  kind: "audio" | "video",
  codecs: readonly T[],
): T[] {
  const wanted = (kind === "video" ? VIDEO_CODECS : AUDIO_CODECS).map((name) => name.toLowerCase());
  const place = ({ mimeType }: T): number => wanted.indexOf(mimeType.toLowerCase());
  return codecs.filter((codec) => place(codec) >= 0).sort((one, other) => place(one) - place(other));
}
