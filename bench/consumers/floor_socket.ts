/**
 * The socket of the floor: subscribes, and then brings bytes in the fastest way that the runtime has.
 */

import net from "node:net";
import { encodeCommand } from "../../src/resp/writer.ts";
import { channels, ready, task } from "./tally.ts";

/** Who reads. */
export interface SocketReader {
  /** Where the next bytes go; asked before each read. */
  room(): Uint8Array<ArrayBuffer>;
  /** So many bytes were put there. */
  filled(count: number): void;
  /** On Bun, instead of both: bytes in memory of their own. */
  brought(chunk: Uint8Array<ArrayBuffer>): void;
}

/** The part of Bun's sockets that is used here. */
interface Handlers {
  open(socket: { write(bytes: Uint8Array): number }): void;
  data(socket: unknown, bytes: Uint8Array<ArrayBuffer>): void;
}

declare const Bun: {
  connect(options: { hostname: string; port: number; socket: Handlers }): Promise<unknown>;
};

const SUBSCRIBE = encodeCommand(["SUBSCRIBE", ...channels]);
/** The last acknowledgement ends with how many there are. */
const SUBSCRIBED = `\r\n:${task.channels}\r\n`;
const { port } = task;
const hostname = "127.0.0.1";

let answer: string | undefined = "";

/** Is this behind the acknowledgements? */
function isMessages(bytes: Uint8Array): boolean {
  if (answer === undefined) return true;
  answer += new TextDecoder().decode(bytes);
  if (!answer.endsWith(SUBSCRIBED)) return false;
  answer = undefined;
  ready();
  return false;
}

/** Gives what has the next bytes come; they may come before it is called, but not before whoever waits for them is done. */
export async function open({ room, filled, brought }: SocketReader): Promise<() => Promise<void>> {
  let wake = () => {};
  const next = () => new Promise<void>((resolve) => wake = resolve);
  if ("Deno" in globalThis) {
    const conn = await Deno.connect({ hostname, port });
    await conn.write(SUBSCRIBE);
    while (answer !== undefined) {
      const bytes = room();
      isMessages(bytes.subarray(0, await conn.read(bytes) ?? 0));
    }
    return async () => filled(await conn.read(room()) ?? 0);
  }
  if ("Bun" in globalThis) {
    await Bun.connect({
      hostname,
      port,
      socket: {
        open: (socket) => void socket.write(SUBSCRIBE),
        data: (_, bytes) => {
          if (!isMessages(bytes)) return;
          brought(bytes);
          wake();
        },
      },
    });
    return next;
  }
  let bytes = room();
  const callback = (count: number) => {
    if (isMessages(bytes.subarray(0, count))) {
      filled(count);
      wake();
    }
    return true;
  };
  const socket = net.connect({ host: hostname, port, onread: { buffer: () => bytes = room(), callback } });
  socket.once("connect", () => socket.write(SUBSCRIBE));
  return next;
}
