/** Reads the voice in the microphone's sound, on this device, and sends what it finds, 25 times a second. */

import { SAMPLE_RATE_HZ } from "../capture/chunker";
import { Microphone } from "../capture/microphone";
import { speechPayload } from "../protocol/features";
import { wallNowMs } from "../stream/serverClock";
import type { FeatureSink } from "./faceReader";
import { SpeechAnalyser } from "./speech";

/** Name and version of how voices are read here. */
const ENGINE = "band-viseme@1";

export class VoiceReader {
  readonly #send: FeatureSink;
  readonly #analyser = new SpeechAnalyser();
  #microphone: Microphone | null = null;
  #running = true;

  constructor(send: FeatureSink) {
    this.#send = send;
  }

  /** Reads this stream's microphone from now on, instead of the one before. */
  async use(stream: MediaStream): Promise<void> {
    this.#microphone?.stop();
    this.#microphone = null;
    const microphone = await Microphone.start(stream, this);
    if (this.#running) this.#microphone = microphone;
    else microphone.stop();
  }

  stop(): void {
    this.#running = false;
    this.#microphone?.stop();
  }

  /** A third of a millisecond of work: less than handing it to another thread and back would delay it. */
  sendSound(pcm: Int16Array<ArrayBuffer>, capturedAtMs: number): void {
    const endMs = capturedAtMs + (pcm.length * 1_000) / SAMPLE_RATE_HZ;
    const features = this.#analyser.hear(pcm);
    this.#send("speechFeatures", speechPayload(features, ENGINE, (wallNowMs() - endMs) * 1_000), endMs);
  }
}
