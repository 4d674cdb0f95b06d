/**
 * Which of the 16,384 slots of a cluster a shard channel belongs to.
 * Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 *
 * @module
 */

/** How many slots a cluster has. */
export const SLOTS = 16_384;

/** CRC-16/XMODEM (polynomial 0x1021), one step per byte. */
const CRC_TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

const OPEN = 0x7b;
const CLOSE = 0x7d;

/** The slot of a name, 0 to 16383. Of a name with a `{tag}` that is not empty, only the first tag counts. */
export function slotOf(name: Uint8Array): number {
  const open = name.indexOf(OPEN);
  const close = open < 0 ? -1 : name.indexOf(CLOSE, open + 1);
  const tagged = close > open + 1 ? name.subarray(open + 1, close) : name;
  let crc = 0;
  for (const byte of tagged) crc = ((crc << 8) & 0xffff) ^ CRC_TABLE[(crc >> 8) ^ byte]!;
  return crc % SLOTS;
}
