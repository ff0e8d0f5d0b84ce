/** Where the messages about an avatar come from, and where answers go. */

/** What a source tells the stream that reads it. */
export interface SourceEvents {
  /** Connected: messages may come. */
  opened(): void;
  /** Text, or a packed frame. */
  message(data: string | ArrayBuffer): void;
  /** Lost, or ended by the server: `code` is one of `protocol/closeCodes`. The source is at rest until opened again. */
  closed(code: number, reason: string): void;
}

export interface FrameSource {
  /** Starts to connect; called again after `closed`. Events go to `events` until the next `open` or `close`. */
  open(events: SourceEvents): void;
  /** False if there is no connection to send it on. */
  send(text: string): boolean;
  /** Ends the connection for good, without another event. */
  close(): void;
}
