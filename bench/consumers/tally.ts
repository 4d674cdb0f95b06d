/**
 * What every reader of the firehose does with a message: counts it, folds it into the checksum and, when the time is
 * over, tells what it saw in one line of JSON and ends the process.
 *
 * Whoever awaits each message does so in a function: on Bun every `await` at the top level of a module takes 40 ns more.
 *
 * @module
 */

import fs from "node:fs";
import process from "node:process";
import { channelNames, fold, foldBytes } from "../frames.ts";

/** What a reader is told, as its one argument, in JSON. */
export interface Task {
  /** Where the firehose listens, on 127.0.0.1. */
  readonly port: number;
  /** How many channels to subscribe to. */
  readonly channels: number;
  /** What payloads to ask the client for. */
  readonly payload: "text" | "bytes";
  /** So many messages between two looks at the clock; a power of two. */
  readonly stride: number;
  /** How long to read before the measurement, in milliseconds. */
  readonly warmUpMs: number;
  /** How long to measure, in milliseconds. */
  readonly measureMs: number;
}

/** What a reader saw. */
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
  readonly checksum?: number | undefined;
}

interface Moment {
  readonly count: number;
  readonly ms: number;
  readonly cpuMicros: number;
}

/** The task of this process. */
export const task: Task = JSON.parse(process.argv[2] ?? "");

const MASK = task.stride - 1;

/** The channels of this process. */
export const channels: string[] = channelNames(task.channels);

/** Tells the parent that the subscriptions stand: the messages may come. */
export function ready(): void {
  fs.writeSync(1, "ready\n");
}

// Plain variables: this is paid for every message, and must not be what is measured.
let count = 0;
let checksum = 0;
let nextMs = 0;
let from: Moment | undefined;

/** Takes a message with a payload of text. */
export function add(channel: string, payload: string): void {
  checksum = fold(checksum, channel, payload);
  if ((++count & MASK) === 0) look(checksum);
}

/** Takes a message with a payload of bytes. */
export function addBytes(channel: string | Uint8Array, payload: Uint8Array): void {
  checksum = foldBytes(checksum, channel, payload);
  if ((++count & MASK) === 0) look(checksum);
}

/** Takes a piece of raw bytes. */
export function addRaw(bytes: number): void {
  count += bytes;
  look(undefined);
}

function look(checked: number | undefined): void {
  const ms = performance.now();
  if (nextMs === 0) nextMs = ms + task.warmUpMs;
  if (ms < nextMs) return;
  const { user, system } = process.cpuUsage();
  const now = { count, ms, cpuMicros: user + system };
  if (from === undefined) {
    from = now;
    nextMs = ms + task.measureMs;
  } else tell(from, now, checked);
}

function tell(from: Moment, to: Moment, checked: number | undefined): never {
  const outcome: Outcome = {
    count: to.count - from.count,
    seconds: (to.ms - from.ms) / 1e3,
    cpuSeconds: (to.cpuMicros - from.cpuMicros) / 1e6,
    total: to.count,
    checksum: checked,
  };
  fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
  process.exit(0);
}
