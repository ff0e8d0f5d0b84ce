/** What stands in the consent dialogue, and the request that it makes. Pure. */

import type { StartRequest } from "../capture/request";

export interface ConsentForm {
  readonly video: boolean;
  readonly audio: boolean;
  readonly storeRaw: boolean;
  /** Pictures and sound are analysed in the page and do not leave it. */
  readonly onDevice: boolean;
  readonly cameraId: string | null;
  readonly microphoneId: string | null;
}

/** Nothing is allowed until the person says so. */
export const BLANK: ConsentForm = {
  video: false,
  audio: false,
  storeRaw: false,
  onDevice: false,
  cameraId: null,
  microphoneId: null,
};

/** Whether anything could start with it. */
export const isUsable = ({ video, audio }: ConsentForm): boolean => video || audio;

/** What is not sent cannot be kept, and a device that is not allowed is not named. */
export const requestOf = (form: ConsentForm): StartRequest => ({
  consent: { video: form.video, audio: form.audio, store_raw: form.storeRaw && !form.onDevice },
  onDevice: form.onDevice,
  cameraId: form.video ? form.cameraId : null,
  microphoneId: form.audio ? form.microphoneId : null,
  transport: "auto",
});

/** What happens to pictures and to sound, for a person, depending on where they are analysed. */
export function uses(onDevice: boolean): { readonly video: string; readonly audio: string } {
  return onDevice
    ? {
        video: "Expression, gaze and head pose are read from its pictures in this browser.",
        audio: "Mouth shapes and whether you speak are read from its sound in this browser.",
      }
    : {
        video: "Its pictures are sent to the server, which reads expression, gaze and head pose from them.",
        audio:
          "Its sound is sent to the server, which reads tone of voice and mouth shapes. No words are written down.",
      };
}
