/** The on-device mode: camera and microphone are read in the page, and only what was found leaves it. */

import type { Devices } from "../capture/devices";
import type { Consent } from "../protocol/sessions";
import { FaceReader, type FeatureSink } from "./faceReader";
import { VoiceReader } from "./voiceReader";

export class OnDevice {
  readonly #face: FaceReader | null;
  readonly #voice: VoiceReader | null;

  private constructor(face: FaceReader | null, voice: VoiceReader | null) {
    this.#face = face;
    this.#voice = voice;
  }

  /** Loads what the consent needs; throws OnDeviceError. */
  static async load({ video, audio }: Consent, send: FeatureSink): Promise<OnDevice> {
    const face = video ? await FaceReader.load(send) : null;
    return new OnDevice(face, audio ? new VoiceReader(send) : null);
  }

  /** Reads these devices from now on, instead of those before. */
  async use({ camera, preview, microphone, stream }: Devices): Promise<void> {
    if (camera !== null && preview !== null) this.#face?.use(preview, camera);
    if (microphone !== null) await this.#voice?.use(stream);
  }

  stop(): void {
    this.#face?.stop();
    this.#voice?.stop();
  }
}
