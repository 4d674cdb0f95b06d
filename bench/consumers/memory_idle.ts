/**
 * What a connection costs that waits for messages and gets none: before and after many of them are made, each with one
 * channel. Beside ours the sockets of the runtime alone, each with a read that waits.
 */

import fs from "node:fs";
import net from "node:net";
import process from "node:process";
import { Client } from "../../mod.ts";
import { encodeCommand } from "../../src/resp/writer.ts";
import { each, type Held, held } from "./memory_heap.ts";

/** What the program is told, as its one argument, in JSON. */
export interface IdleTask {
  /** Of a Redis server, on 127.0.0.1. */
  readonly port: number;
  readonly connections: number;
  /** Which of the two; the other would find memory that is there to be used again. */
  readonly client: "earshot" | "socket";
}

/** What it measured, in bytes a connection. */
export type IdleOutcome = Held;

/** So many are made at a time: more than a server lets wait would be refused. */
const AT_ONCE = 100;

const hostname = "127.0.0.1";
const { port, connections, client }: IdleTask = JSON.parse(process.argv[2] ?? "");
const SUBSCRIBE = encodeCommand(["SUBSCRIBE", "idle"]);

/** Whatever the collector must not take. */
const kept: unknown[] = [];

async function earshot(): Promise<void> {
  const redis = new Client({ host: hostname, port });
  kept.push(redis, await redis.subscribe("idle"));
}

/** Resolves with the acknowledgement; the next read waits for ever. */
async function denoSocket(): Promise<void> {
  const conn = await Deno.connect({ hostname, port });
  const buffer = new Uint8Array(64);
  await conn.write(SUBSCRIBE);
  await conn.read(buffer);
  kept.push(conn, conn.read(buffer));
}

function nodeSocket(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: hostname, port });
    kept.push(socket);
    socket.once("connect", () => socket.write(SUBSCRIBE));
    socket.on("data", () => resolve());
    socket.once("error", reject);
  });
}

async function make(count: number): Promise<void> {
  const one = client === "earshot" ? earshot : "Deno" in globalThis ? denoSocket : nodeSocket;
  for (let left = count; left > 0; left -= AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, one));
  }
}

// Whatever is made once, is made before.
await make(1);
const before = await held();
await make(connections);
const outcome: IdleOutcome = each(before, await held(), connections);
fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
process.exit(0);
