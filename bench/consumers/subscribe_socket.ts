/**
 * The socket of the runtime for the programs of the suite `subscribe` that are no client: what it reads is written over.
 *
 * @module
 */

import net from "node:net";
import { task } from "./subscribe_run.ts";

const hostname = "127.0.0.1";
const { port } = task;
const ROOM_BYTES = 64 * 1024;

/** Who is told of each chunk, and of the end. */
export interface Ear {
  take(chunk: Uint8Array): void;
  onEnd(): void;
}

/** Connects; gives what writes. */
export const open: (ear: Ear) => Promise<(bytes: Uint8Array) => void> = "Deno" in globalThis ? openDeno : openNode;

async function openDeno(ear: Ear): Promise<(bytes: Uint8Array) => void> {
  const conn = await Deno.connect({ hostname, port });
  conn.setNoDelay(true);
  const buffer = new Uint8Array(ROOM_BYTES);
  const read = async () => {
    for (let size; (size = await conn.read(buffer)) !== null;) ear.take(buffer.subarray(0, size));
  };
  read().catch(() => {}).then(() => ear.onEnd());
  const write = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  };
  return (bytes) => void write(bytes);
}

function openNode(ear: Ear): Promise<(bytes: Uint8Array) => void> {
  return new Promise((resolve, reject) => {
    const buffer = new Uint8Array(ROOM_BYTES);
    const callback = (size: number) => {
      ear.take(buffer.subarray(0, size));
      return true;
    };
    const socket = net.connect({ host: hostname, port, noDelay: true, onread: { buffer, callback } });
    socket.once("connect", () => resolve((bytes) => void socket.write(bytes)));
    socket.once("error", reject);
    socket.once("close", () => ear.onEnd());
  });
}
