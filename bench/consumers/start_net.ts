/** No client: what it takes to load `node:net`, and to open a socket of it. */

import type { FirstMessage } from "./start.ts";

export const firstMessage: FirstMessage = async (port, channel) => {
  const { connect } = await import("node:net");
  return await new Promise((resolve, reject) => {
    let text = "";
    const subscribe = `*2\r\n$9\r\nSUBSCRIBE\r\n$${channel.length}\r\n${channel}\r\n`;
    const socket = connect(port, "127.0.0.1", () => socket.write(subscribe));
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      text += chunk;
      const payload = payloadOf(text);
      if (payload !== undefined) resolve(payload);
    });
  });
};

/** The payload of the message that ends here, if one does. */
export function payloadOf(text: string): string | undefined {
  return /\$7\r\nmessage\r\n\$\d+\r\n.*\r\n\$\d+\r\n(.*)\r\n$/.exec(text)?.[1];
}
