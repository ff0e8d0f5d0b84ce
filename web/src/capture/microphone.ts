/** The microphone: 40 ms chunks of 16 kHz PCM16 from the audio thread, each with the moment of its first sample. */

import { wallNowMs } from "../stream/serverClock";
import { CHUNK_SAMPLES, type PcmChunk, SAMPLE_RATE_HZ } from "./chunker";
import workletUrl from "./microphone.worklet.ts?worker&url";
import { SampleClock } from "./sampleClock";

/** Where sound goes. */
export interface SoundSink {
  sendSound(pcm: Int16Array<ArrayBuffer>, capturedAtMs: number): void;
}

export class Microphone {
  readonly #context: AudioContext;
  readonly #node: AudioWorkletNode;
  readonly #source: MediaStreamAudioSourceNode;

  private constructor(
    context: AudioContext,
    source: MediaStreamAudioSourceNode,
    node: AudioWorkletNode,
    sink: SoundSink,
  ) {
    this.#context = context;
    this.#source = source;
    this.#node = node;
    const clock = new SampleClock();
    node.port.onmessage = ({ data }: MessageEvent<PcmChunk>) => {
      sink.sendSound(data.pcm, clock.firstSampleAt(data.firstSample, CHUNK_SAMPLES, wallNowMs()));
    };
  }

  static async start(stream: MediaStream, sink: SoundSink): Promise<Microphone> {
    const { context, source } = connect(stream);
    await context.audioWorklet.addModule(workletUrl);
    const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    const microphone = new Microphone(context, source, node, sink);
    source.connect(node);
    await context.resume();
    return microphone;
  }

  stop(): void {
    this.#node.port.onmessage = null;
    this.#source.disconnect();
    void this.#context.close();
  }
}

/** A context at 16 kHz where the browser resamples microphones itself; at the device's rate where it does not. */
function connect(stream: MediaStream): { context: AudioContext; source: MediaStreamAudioSourceNode } {
  const wanted = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
  try {
    return { context: wanted, source: wanted.createMediaStreamSource(stream) };
  } catch {
    void wanted.close();
    const own = new AudioContext({ latencyHint: "interactive" });
    return { context: own, source: own.createMediaStreamSource(stream) };
  }
}
