/** A subscriber on the firehose whose messages nobody reads: the resident memory of the process over time. */

import fs from "node:fs";
import process from "node:process";
import { Client, type StreamOptions } from "../../mod.ts";
import { channelNames } from "../frames.ts";
import { resident } from "./memory_heap.ts";
import { ready } from "./tally.ts";

/** What the program is told, as its one argument, in JSON. */
export interface StalledTask {
  /** Of the firehose, on 127.0.0.1. */
  readonly port: number;
  readonly channels: number;
  /** What the full queue does. */
  readonly overflow: NonNullable<StreamOptions<string>["overflow"]>;
  /** How long to watch, in milliseconds. */
  readonly watchMs: number;
}

/** What it saw; sizes are in bytes. */
export interface StalledOutcome {
  /** Before the first message. */
  readonly before: number;
  /** Resident memory, at even distances. */
  readonly samples: readonly number[];
  readonly received: number;
  readonly dropped: number;
  /** What waits at the end. */
  readonly queued: number;
  readonly queuedBytes: number;
}

const SAMPLES = 100;

const { port, channels, overflow, watchMs }: StalledTask = JSON.parse(process.argv[2] ?? "");
const redis = new Client({ host: "127.0.0.1", port });
const pubsub = await redis.subscribe(channelNames(channels), { overflow });
const before = resident();
ready();
const samples: number[] = [];
for (let i = 1; i <= SAMPLES; i++) {
  await new Promise((resolve) => setTimeout(resolve, watchMs / SAMPLES));
  samples.push(resident());
}
const { received, dropped, queued, queuedBytes } = pubsub.stats();
const outcome: StalledOutcome = { before, samples, received, dropped, queued, queuedBytes };
// A stream that has ended in an error takes nothing more, and counts nothing more.
const isRight = overflow === "error" ? dropped > 0 : dropped === received - queued;
if (!isRight || queued === 0) {
  throw new Error(`Messages are missing: ${JSON.stringify({ ...outcome, samples: [] })}`);
}
fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
process.exit(0);
