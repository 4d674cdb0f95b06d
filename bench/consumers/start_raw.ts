/** No client: what the runtime itself takes to start, and to open a socket. */

import type { FirstMessage } from "./start.ts";
import { payloadOf } from "./start_net.ts";

/** The part of Bun's sockets that is used here; on Bun `node:net` takes longer to load than all the rest. */
interface BunSocket {
  write(text: string): number;
}

declare const Bun: {
  connect(options: {
    hostname: string;
    port: number;
    socket: { open(socket: BunSocket): void; data(socket: BunSocket, chunk: Uint8Array): void };
  }): Promise<unknown>;
};

export const firstMessage: FirstMessage = async (port, channel) => {
  const subscribe = `*2\r\n$9\r\nSUBSCRIBE\r\n$${channel.length}\r\n${channel}\r\n`;
  if ("Deno" in globalThis) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode(subscribe));
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of conn.readable) {
      text += decoder.decode(chunk);
      const payload = payloadOf(text);
      if (payload !== undefined) return payload;
    }
    throw new Error("The server ended the connection before the first message");
  }
  if ("Bun" in globalThis) {
    return await new Promise((resolve, reject) => {
      let text = "";
      const data = (_: unknown, chunk: Uint8Array) => {
        text += new TextDecoder().decode(chunk);
        const payload = payloadOf(text);
        if (payload !== undefined) resolve(payload);
      };
      const open = (socket: BunSocket) => void socket.write(subscribe);
      Bun.connect({ hostname: "127.0.0.1", port, socket: { open, data } }).catch(reject);
    });
  }
  return await (await import("./start_net.ts")).firstMessage(port, channel);
};
