import type { FrameSource, SourceEvents } from "./source";

/** The viewer's WebSocket of egress. */
export class SocketSource implements FrameSource {
  readonly #url: string;
  #socket: WebSocket | null = null;

  /** @param url the socket's whole address, token included */
  constructor(url: string) {
    this.#url = url;
  }

  open(events: SourceEvents): void {
    const socket = new WebSocket(this.#url, "affectstream.binary");
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#socket === socket) events.opened();
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (this.#socket !== socket) return;
      if (typeof data === "string" || data instanceof ArrayBuffer) events.message(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      events.closed(code, reason);
    };
  }

  send(text: string): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }
}
