/**
 * What every consumer does with a message: counts it, folds it into the checksum and, when the time is over, tells what
 * it saw in one line of JSON and ends the process.
 *
 * @module
 */

import fs from "node:fs";
import process from "node:process";
import { channelNames, fold } from "../frames.ts";

/** What a consumer is told, as its one argument, in JSON. */
export interface Task {
  /** Where the firehose listens, on 127.0.0.1. */
  readonly port: number;
  /** How many channels to subscribe to. */
  readonly channels: number;
  /** How long to read before the measurement, in milliseconds. */
  readonly warmUpMs: number;
  /** How long to measure, in milliseconds. */
  readonly measureMs: number;
}

/** What a consumer saw. */
export interface Outcome {
  /** Messages in the measured time; for the raw reader, bytes. */
  readonly count: number;
  /** The measured time, in seconds. */
  readonly seconds: number;
  /** Processor time of the whole process in that time, user and system, in seconds. */
  readonly cpuSeconds: number;
  /** Messages since the first one, of which `checksum` is. */
  readonly total: number;
  /** Undefined for the raw reader. */
  readonly checksum: number | undefined;
}

/** So many messages between two looks at the clock; a power of two. */
const STRIDE = 1024;

interface Moment {
  readonly count: number;
  readonly ms: number;
  readonly cpuMicros: number;
}

/** The task of this process. */
export function task(): Task {
  return JSON.parse(process.argv[2] ?? "");
}

/** The channels of this process. */
export function channels(): string[] {
  return channelNames(task().channels);
}

/** Tells the parent that the subscriptions stand: the messages may come. */
export function ready(): void {
  fs.writeSync(1, "ready\n");
}

/** Counts. */
export class Tally {
  readonly #task = task();
  #count = 0;
  #checksum = 0;
  #nextMs = 0;
  #from: Moment | undefined;

  /** Takes a message. */
  add(channel: string, payload: string): void {
    this.#checksum = fold(this.#checksum, channel, payload);
    if ((++this.#count & (STRIDE - 1)) === 0) this.#look(this.#checksum);
  }

  /** Takes a piece of raw bytes. */
  addBytes(count: number): void {
    this.#count += count;
    this.#look(undefined);
  }

  #look(checksum: number | undefined): void {
    const ms = performance.now();
    if (this.#nextMs === 0) this.#nextMs = ms + this.#task.warmUpMs;
    if (ms < this.#nextMs) return;
    const { user, system } = process.cpuUsage();
    const now = { count: this.#count, ms, cpuMicros: user + system };
    if (this.#from === undefined) {
      this.#from = now;
      this.#nextMs = ms + this.#task.measureMs;
    } else tell(this.#from, now, checksum);
  }
}

function tell(from: Moment, to: Moment, checksum: number | undefined): never {
  const outcome: Outcome = {
    count: to.count - from.count,
    seconds: (to.ms - from.ms) / 1e3,
    cpuSeconds: (to.cpuMicros - from.cpuMicros) / 1e6,
    total: to.count,
    checksum,
  };
  fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
  process.exit(0);
}
