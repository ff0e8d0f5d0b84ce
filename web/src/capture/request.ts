/** What a person asks for when a session is to start. */

import type { Consent } from "../protocol/sessions";

/** How media goes out. */
export type Transport = "webrtc" | "websocket";

/** The devices that a person picked; null: the browser's own choice. */
export interface DeviceChoice {
  readonly cameraId: string | null;
  readonly microphoneId: string | null;
}

export interface StartRequest extends DeviceChoice {
  readonly consent: Consent;
  /** Faces and voices are analysed in the page; only features of them leave it. */
  readonly onDevice: boolean;
  /** `auto`: WebRTC, or the WebSocket where WebRTC does not come through. */
  readonly transport: Transport | "auto";
}

/** A request with this consent, and otherwise what a newcomer gets. */
export const requestWith = (consent: Consent): StartRequest => ({
  consent,
  onDevice: false,
  cameraId: null,
  microphoneId: null,
  transport: "auto",
});
