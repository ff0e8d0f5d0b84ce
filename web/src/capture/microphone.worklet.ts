/** Runs in the audio thread: the microphone's samples to 16 kHz PCM16 in chunks of 40 ms. */

import { Chunker, SAMPLE_RATE_HZ } from "./chunker";
import { Resampler } from "./resampler";

// TypeScript's DOM library does not know the audio thread's globals.
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

class MicrophoneProcessor extends AudioWorkletProcessor {
  readonly #resampler = new Resampler(sampleRate, SAMPLE_RATE_HZ);
  readonly #chunker = new Chunker();

  process(inputs: Float32Array[][]): boolean {
    const channels = inputs[0];
    const first = channels?.[0];
    if (channels === undefined || first === undefined) return true;
    for (const chunk of this.#chunker.push(this.#resampler.push(toMono(channels, first.length)))) {
      this.port.postMessage(chunk, [chunk.pcm.buffer]);
    }
    return true;
  }
}

function toMono(channels: readonly Float32Array[], length: number): Float32Array {
  const mono = new Float32Array(length);
  for (const channel of channels) {
    for (let i = 0; i < length; i += 1)
      mono[i] = (mono[i] as number) + (channel[i] as number) / channels.length;
  }
  return mono;
}

registerProcessor("microphone", MicrophoneProcessor);
