/** No client at all, as `drain.ts`, over Bun's own sockets. */

import { encodeCommand } from "../../src/resp/writer.ts";
import { addRaw, channels, ready, task } from "./tally.ts";

/** The part of Bun's sockets that is used here. */
interface Handlers {
  open(socket: { write(bytes: Uint8Array): number }): void;
  data(socket: unknown, bytes: Uint8Array): void;
}

declare const Bun: {
  connect(options: { hostname: string; port: number; socket: Handlers }): Promise<unknown>;
};

const SUBSCRIBED = `\r\n:${task.channels}\r\n`;
let answer: string | undefined = "";

await Bun.connect({
  hostname: "127.0.0.1",
  port: task.port,
  socket: {
    open: (socket) => void socket.write(encodeCommand(["SUBSCRIBE", ...channels])),
    data: (_, bytes) => take(bytes),
  },
});

function take(bytes: Uint8Array): void {
  if (answer === undefined) return addRaw(bytes.length);
  answer += new TextDecoder().decode(bytes);
  if (!answer.endsWith(SUBSCRIBED)) return;
  answer = undefined;
  ready();
}
