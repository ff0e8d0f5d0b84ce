/** What the page says about a connection that brings no frames. Pure. */

import type { Link } from "../stream/avatarStream";
import type { Tone } from "./StageCard";

export interface Saying {
  readonly tone: Tone;
  readonly title: string;
  readonly text: string;
}

export function sayingOf(link: Link): Saying {
  switch (link.state) {
    case "connecting":
      return { tone: "busy", title: "Connecting", text: "Finding the avatar…" };
    case "waiting":
      return { tone: "busy", title: "Connected", text: "The first frame is on its way…" };
    case "silent":
      return {
        tone: "warn",
        title: "Nothing to show yet",
        text: "No frames have come yet: the session may be over, or nothing is on at its other end.",
      };
    case "live":
      return { tone: "busy", title: "Live", text: "Frames are arriving…" };
    case "stalled":
      return {
        tone: "warn",
        title: "No frames",
        text: "No frames have come for more than a second, so the avatar rests.",
      };
    case "reconnecting":
      return { tone: "busy", title: "Connection lost", text: `${link.detail} Trying again…` };
    case "finished":
      return { tone: "plain", title: "Session over", text: "This session is over. The avatar rests." };
    case "refused":
      return { tone: "error", title: "Not connected", text: link.detail };
  }
}
