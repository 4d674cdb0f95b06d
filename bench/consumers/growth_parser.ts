/**
 * How the time to read grows with what is read, whatever the pieces are in which it comes: many small messages, and one
 * large message, of one, two and four times a size, out of memory.
 */

import fs from "node:fs";
import process from "node:process";
import { bytes as bytesCodec, Client } from "../../mod.ts";
import { Feed, repeated } from "./growth_feed.ts";

/** What the program is told, as its one argument, in JSON. */
export interface ParserTask {
  /** In what pieces the bytes come. */
  readonly pieceBytes: readonly number[];
  /** How many times the first size. */
  readonly factors: readonly number[];
  /** The payload of a large message, for the factor 1. */
  readonly largeBytes: number;
}

/** Nanoseconds a byte, by size of the pieces and by factor. */
export interface ParserOutcome {
  readonly small: readonly (readonly number[])[];
  readonly large: readonly (readonly number[])[];
}

/** A piece costs some 300 ns, a byte in a large piece some 3: as many bytes as take some 50 ms. */
function firstBytes(pieceBytes: number): number {
  return Math.min(16, Math.max(1 / 8, pieceBytes / 16)) * 1024 * 1024;
}

const SMALL_BYTES = 16;
const CHANNEL = "channel:000";
const { pieceBytes, factors, largeBytes }: ParserTask = JSON.parse(process.argv[2] ?? "");

function frame(payloadBytes: number): Uint8Array {
  const payload = "0123456789abcdef".repeat(payloadBytes / 16);
  const text = `>3\r\n$7\r\nmessage\r\n$${CHANNEL.length}\r\n${CHANNEL}\r\n$${payloadBytes}\r\n${payload}\r\n`;
  return new TextEncoder().encode(text);
}

/** Nanoseconds a byte, for `times` messages in pieces of `size`. */
async function time(message: Uint8Array, payloadBytes: number, times: number, size: number): Promise<number> {
  await using feed = new Feed();
  await using redis = new Client({ dial: feed.dial, protocol: 3 });
  // What a text costs is another question.
  await using pubsub = await redis.subscribe<Uint8Array>(CHANNEL, { codec: bytesCodec });
  const all = repeated(message, times);
  const from = performance.now();
  feed.feed({ bytes: all, pieceBytes: size });
  let [count, bytes] = [0, 0];
  let ms = 0;
  for await (const { payload } of pubsub) {
    bytes += payload.length;
    if (++count < times) continue;
    ms = performance.now() - from;
    break;
  }
  if (bytes !== times * payloadBytes) throw new Error(`Other messages came than were fed: ${bytes} bytes`);
  return ms * 1e6 / all.length;
}

async function small(size: number, factor: number): Promise<number> {
  const message = frame(SMALL_BYTES);
  return await time(message, SMALL_BYTES, Math.ceil(firstBytes(size) * factor / message.length), size);
}

async function large(size: number, factor: number): Promise<number> {
  const payloadBytes = largeBytes * factor;
  return await time(frame(payloadBytes), payloadBytes, Math.ceil(firstBytes(size) / largeBytes), size);
}

async function all(of: (size: number, factor: number) => Promise<number>): Promise<number[][]> {
  const table: number[][] = [];
  for (const size of pieceBytes) {
    const row: number[] = [];
    for (const factor of factors) row.push(await of(size, factor));
    table.push(row);
  }
  return table;
}

// Compiled before it is measured.
for (const size of pieceBytes) await small(size, factors[0]!);
await large(Math.max(...pieceBytes), factors[0]!);
const outcome: ParserOutcome = { small: await all(small), large: await all(large) };
fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
process.exit(0);
