/**
 * No client at all: reads the firehose's bytes in the fastest way that the runtime has, and forgets them. What this
 * reaches is the limit of every client there. On Node and Bun that is `onread` of `node:net`; see `drain_bun.ts`.
 */

import net from "node:net";
import { encodeCommand } from "../../src/resp/writer.ts";
import { addRaw, channels, ready, task } from "./tally.ts";

const SUBSCRIBE = encodeCommand(["SUBSCRIBE", ...channels]);
/** The last acknowledgement ends with how many there are. */
const SUBSCRIBED = `\r\n:${task.channels}\r\n`;
const READ_BYTES = 256 * 1024;
const hostname = "127.0.0.1";

const buffer = new Uint8Array(READ_BYTES);
let answer: string | undefined = "";

if ("Deno" in globalThis) {
  const conn = await Deno.connect({ hostname, port: task.port });
  await conn.write(SUBSCRIBE);
  for (let count; (count = await conn.read(buffer)) !== null;) take(count);
} else {
  const callback = (count: number) => {
    take(count);
    return true;
  };
  const socket = net.connect({ host: hostname, port: task.port, onread: { buffer, callback } });
  socket.once("connect", () => socket.write(SUBSCRIBE));
}

function take(count: number): void {
  if (answer === undefined) return addRaw(count);
  answer += new TextDecoder().decode(buffer.subarray(0, count));
  if (!answer.endsWith(SUBSCRIBED)) return;
  answer = undefined;
  ready();
}
