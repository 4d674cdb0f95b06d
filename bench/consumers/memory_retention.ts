/**
 * A consumer on the firehose that keeps one payload of every so many bytes read: how much the process holds for each of
 * them. A payload that shares memory with its neighbours keeps that, too.
 */

import fs from "node:fs";
import process from "node:process";
import { bytes, Client, text } from "../../mod.ts";
import { type Cell, channelNames, frameBytes } from "../frames.ts";
import { each, type Held, held } from "./memory_heap.ts";
import { ready } from "./tally.ts";

/** What the program is told, as its one argument, in JSON. */
export interface RetentionTask {
  /** Of the firehose, on 127.0.0.1. */
  readonly port: number;
  readonly cell: Cell;
  readonly codec: "text" | "bytes";
  /** One payload of so many bytes read is kept. */
  readonly everyBytes: number;
  /** How many are kept. */
  readonly keep: number;
}

/** What it measured, in bytes for each payload that is kept. */
export type RetentionOutcome = Held;

const { port, cell, codec, everyBytes, keep }: RetentionTask = JSON.parse(process.argv[2] ?? "");
const stride = Math.ceil(everyBytes / frameBytes(cell));

type Messages = AsyncIterable<{ readonly payload: string | Uint8Array }>;

/** Leaving the loop closes the connection. */
async function keepSome(messages: Messages): Promise<(string | Uint8Array)[]> {
  const kept: (string | Uint8Array)[] = [];
  let count = 0;
  for await (const { payload } of messages) {
    if (++count % stride === 0 && kept.push(payload) === keep) break;
  }
  return kept;
}

/** With and without them, when all else is gone. */
async function measure(messages: Messages): Promise<RetentionOutcome> {
  const kept = await keepSome(messages);
  const all = await held();
  for (const { length } of kept) {
    if (length !== cell.payloadBytes) throw new Error(`A payload has not the length that was sent: ${length}`);
  }
  kept.length = 0;
  return each(await held(), all, keep);
}

const redis = new Client({ host: "127.0.0.1", port });
const pubsub = redis.pubsub<string | Uint8Array>({ codec: codec === "text" ? text : bytes });
await pubsub.subscribe(channelNames(cell.channels));
ready();
fs.writeSync(1, `${JSON.stringify(await measure(pubsub))}\n`);
process.exit(0);
