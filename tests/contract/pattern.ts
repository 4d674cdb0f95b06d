/** Bytes that tell where they belong, and how to write and read many of them. */

import type { Transport } from "../../src/transport/transport.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** What a caller writes to memory that is its own again; the pattern has no long run of it. */
export const MARK = 0x5a;

export async function writePattern(to: Transport, total: number, sizes: readonly number[]): Promise<void> {
  for (let position = 0, turn = 0; position < total; turn++) {
    const size = Math.min(sizes[turn % sizes.length] ?? 1, total - position);
    await to.write(pattern(position, size));
    position += size;
  }
}

/** Reads `size` bytes, into the room if there is one, and fails when the chunks end elsewhere. */
export async function readExactly(
  from: Transport,
  size: number,
  room?: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array> {
  const all = new Uint8Array(size);
  for (let position = 0; position < size;) {
    const chunk = await from.read(room);
    if (chunk === undefined) throw new Error(`The stream ended early: ${position} of ${size} bytes`);
    all.set(chunk, position);
    position += chunk.byteLength;
  }
  return all;
}

/** A prime, so that no shift by a buffer size goes unnoticed. */
const PERIOD = 65_521;
const PATTERN = Uint8Array.from({ length: PERIOD }, (_, index) => (index * 31) ^ (index >> 8));

/** The bytes of the endless pattern from `position` on. */
export function pattern(position: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const part = PATTERN.subarray((position + at) % PERIOD).subarray(0, size - at);
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

/** Where `bytes` leaves the pattern that starts at `position`; -1 when nowhere. */
export function differsAt(bytes: Uint8Array, position: number): number {
  const expected = pattern(position, bytes.byteLength);
  return bytes.findIndex((byte, index) => byte !== expected[index]);
}
