/** Bytes in an inbox that tell where they belong. */
import type { Inbox } from "../../src/resp/buffer.ts";

/** Bytes of which each tells where it stands. */
export const PATTERN = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);

/** Writes the pattern from `offset` on. */
export function write(to: Uint8Array, offset: number): Uint8Array {
  for (let at = 0; at < to.length;) {
    const part = PATTERN.subarray((offset + at) % PATTERN.length).subarray(0, to.length - at);
    to.set(part, at);
    at += part.length;
  }
  return to;
}

/** Where the waiting bytes are not those of the pattern from `offset` on; negative: nowhere. */
export function misplaced(inbox: Inbox, offset: number): number {
  const { bytes, view, start, end } = inbox;
  for (let at = start, i = offset % PATTERN.length; at < end; at++, i = i + 1 < PATTERN.length ? i + 1 : 0) {
    if (bytes[at] !== PATTERN[i] || view.getUint8(at) !== PATTERN[i]) return at;
  }
  return -1;
}
