/** Other people's WHIP clients, bundled into a page by `publish.mjs`: each publishes a stream, and says how to stop, and
 * how to restart ICE if it can. */

import { WHIPClient as EyevinnClient } from "@eyevinn/whip-web-client";
import { WHIPClient } from "whip-whep/whip.js";

/** @typedef {{stop: () => Promise<void>, restart?: () => Promise<void>, connection?: RTCPeerConnection}} Publishing */
/** @typedef {(stream: MediaStream, endpoint: string, token: string) => Promise<Publishing>} Publish */

/** @type {Record<string, Publish>} */
const publishers = {
  async "whip-whep"(stream, endpoint, token) {
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    for (const track of stream.getTracks()) {
      connection.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    }
    const client = new WHIPClient();
    await client.publish(connection, endpoint, token);
    return { stop: async () => client.stop(), restart: async () => client.restart(), connection };
  },

  async eyevinn(stream, endpoint, token) {
    const client = new EyevinnClient({ endpoint, opts: { authkey: token } });
    await client.setIceServersFromEndpoint();
    await client.ingest(stream);
    return { stop: async () => client.destroy() };
  },
};

Object.assign(globalThis, { publishers });
