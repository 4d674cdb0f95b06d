/**
 * What the firehose sends, and what whoever reads all of it must have seen: ready-made message frames that repeat after
 * a cycle, and the checksum of the first so many of them.
 *
 * @module
 */

/** The size of one measurement. */
export interface Cell {
  /** Length of a payload, in bytes of ASCII, at least 2. */
  readonly payloadBytes: number;
  /** How many channels take turns. */
  readonly channels: number;
}

/** A cycle is at least this long, in bytes, so that one write keeps the socket busy for a while. */
const CYCLE_BYTES = 1024 * 1024;

/** A cell in a few characters. */
export function cellName({ payloadBytes, channels }: Cell): string {
  const size = payloadBytes < 65_536 ? `${payloadBytes} B` : `${payloadBytes / 1024} KiB`;
  return `${size}, ${channels.toLocaleString("en")} ch.`;
}

/** The names to subscribe to. */
export function channelNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => channelName(index));
}

function channelName(index: number): string {
  return `channel:${String(index).padStart(3, "0")}`;
}

/** Both ends change from frame to frame, and what is between: no two of a cycle are the same. */
function payload(index: number, bytes: number): string {
  const first = String.fromCharCode(65 + index % 26);
  const last = String.fromCharCode(97 + index * 7 % 26);
  return first + String(index).slice(-(bytes - 2)).padStart(bytes - 2, ".") + last;
}

function frame(index: number, { channels, payloadBytes }: Cell, protocol: 2 | 3): string {
  const channel = channelName(index % channels);
  const head = `${protocol === 3 ? ">" : "*"}3\r\n$7\r\nmessage\r\n$${channel.length}\r\n${channel}\r\n`;
  return `${head}$${payloadBytes}\r\n${payload(index, payloadBytes)}\r\n`;
}

/** Length of one frame, in bytes: the same in both protocols, for every message of a cell. */
export function frameBytes(cell: Cell): number {
  return frame(0, cell, 2).length;
}

/** How many messages a cycle has: every channel equally often. */
function cycleLength(cell: Cell): number {
  return Math.ceil(CYCLE_BYTES / frameBytes(cell) / cell.channels) * cell.channels;
}

/** One cycle, ready to be written again and again. */
export function cycle(cell: Cell, protocol: 2 | 3): Uint8Array<ArrayBuffer> {
  const frames = Array.from({ length: cycleLength(cell) }, (_, index) => frame(index, cell, protocol));
  return new TextEncoder().encode(frames.join(""));
}

/**
 * The checksum after one more message. It depends on the order, on which channel, and on both ends of the payload that
 * was received. Every message pays for it, a few nanoseconds, so it reads no more than that, and stays with 32-bit integers.
 */
export function fold(checksum: number, channel: string, payload: string): number {
  const end = channel.length - 1;
  const last = payload.length - 1;
  const which = channel.charCodeAt(end) + (channel.charCodeAt(end - 1) << 4) + (channel.charCodeAt(end - 2) << 8);
  return mix(checksum, which, payload.length, payload.charCodeAt(0), payload.charCodeAt(last));
}

/** The same checksum, of a payload in bytes. */
export function foldBytes(checksum: number, channel: string | Uint8Array, payload: Uint8Array): number {
  const end = channel.length - 1;
  const last = payload.length - 1;
  const which = typeof channel === "string"
    ? channel.charCodeAt(end) + (channel.charCodeAt(end - 1) << 4) + (channel.charCodeAt(end - 2) << 8)
    : channel[end]! + (channel[end - 1]! << 4) + (channel[end - 2]! << 8);
  return mix(checksum, which, payload.length, payload[0]!, payload[last]!);
}

function mix(checksum: number, which: number, length: number, first: number, last: number): number {
  const seen = (Math.imul(length, 65_599) + Math.imul(first, 8_191)) | 0;
  return (((Math.imul(checksum, 31) + seen) | 0) + ((Math.imul(last, 127) + which) | 0)) | 0;
}

/** The checksum of the first `count` messages of a cell. */
export function expectedChecksum(cell: Cell, count: number): number {
  const length = cycleLength(cell);
  // A cycle is one multiplication and one addition, whatever the checksum before it.
  const factor = Array.from({ length }).reduce<number>((power) => Math.imul(power, 31), 1);
  const cycleSum = foldFrames(cell, 0, length);
  let checksum = 0;
  for (let cycles = Math.floor(count / length); cycles > 0; cycles--) {
    checksum = (Math.imul(checksum, factor) + cycleSum) | 0;
  }
  return foldFrames(cell, checksum, count % length);
}

function foldFrames({ channels, payloadBytes }: Cell, from: number, count: number): number {
  let checksum = from;
  for (let index = 0; index < count; index++) {
    checksum = fold(checksum, channelName(index % channels), payload(index, payloadBytes));
  }
  return checksum;
}
