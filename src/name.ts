/**
 * Names of channels and patterns are any bytes; inside, a name is a string that stands for exactly those bytes.
 *
 * Bytes that are valid UTF-8 become that text. Any other byte 0x80 to 0xFF becomes the lone surrogate U+DC80 to U+DCFF
 * (the way of Python's "surrogateescape", PEP 383), so that two different names never meet in one string, and a name
 * that came with a message can be handed back to unsubscribe from it.
 *
 * @module
 */

/** The name of a channel or pattern: text, or any bytes. */
export type Name = string | Uint8Array;
/** One name, or several. */
export type Names = Name | readonly Name[];

/** What is published here is between clients of this library: no stream gets it, and nobody may subscribe to it. */
const PRIVATE = "earshot:private:";

/** The private channel of this name. */
export function privateChannel(name: string): string {
  return PRIVATE + name;
}

/** Is this channel private to this library? */
export function isPrivate(channel: string): boolean {
  return channel.startsWith(PRIVATE);
}

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LOW = 0xdc80;
const HIGH = 0xdcff;

/** The string that stands for `bytes`. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return escapeBytes(bytes);
  }
}

/**
 * The bytes that `name` stands for.
 *
 * @throws {TypeError} when `name` has a lone surrogate that stands for no byte
 */
export function encodeName(name: string): Uint8Array {
  if (name.isWellFormed()) return encoder.encode(name);
  const parts: number[] = [];
  for (const character of name) {
    const point = character.codePointAt(0)!;
    if (point >= LOW && point <= HIGH) parts.push(point - LOW + 0x80);
    else if (point >= 0xd800 && point <= 0xdfff) {
      throw new TypeError("A name must not hold a lone surrogate: use a Uint8Array for bytes that are not UTF-8");
    } else parts.push(...encoder.encode(character));
  }
  return Uint8Array.from(parts);
}

/** What goes on the wire for `name`: text where it is text, since many texts are encoded at once, otherwise bytes. */
export function nameArgument(name: string): string | Uint8Array {
  return name.isWellFormed() ? name : encodeName(name);
}

/**
 * The strings for names given in either form, so that equal bytes are equal strings.
 *
 * @throws {TypeError} when it is neither a name nor an array of names
 */
export function canonicalNames(names: Names): string[] {
  const list = Array.isArray(names) ? names : [names as Name];
  return list.map(canonicalName);
}

/**
 * The same, for names that users may have.
 *
 * @throws {TypeError} also when one is private to this library
 */
export function publicNames(names: Names): readonly string[] {
  if (Array.isArray(names) && arePlain(names)) return names;
  const canonical = canonicalNames(names);
  const own = canonical.find(isPrivate);
  if (own === undefined) return canonical;
  throw new TypeError(`A name must not be private to this library: ${JSON.stringify(own)}`);
}

/** As nearly all names are: they are looked at as one text, since of many most are looked at before anything is compiled. */
function arePlain(names: readonly Name[]): names is readonly string[] {
  if (!areTexts(names)) return false;
  const text = names.join("\n");
  return text.isWellFormed() && !text.includes(PRIVATE);
}

function areTexts(names: readonly Name[]): names is readonly string[] {
  for (let i = 0; i < names.length; i++) if (typeof names[i] !== "string") return false;
  return true;
}

/**
 * The one string for a name given in either form.
 *
 * @throws {TypeError} when it is neither a string nor a Uint8Array, or has a lone surrogate that stands for no byte
 */
export function canonicalName(name: Name): string {
  if (name instanceof Uint8Array) return decodeName(name);
  if (typeof name !== "string") throw new TypeError(`A name must be a string or a Uint8Array: ${typeof name}`);
  return name.isWellFormed() ? name : decodeName(encodeName(name));
}

/** Escapes the bytes that are in no valid UTF-8 sequence, and decodes the runs between them. */
function escapeBytes(bytes: Uint8Array): string {
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at <= bytes.length;) {
    const length = at < bytes.length ? characterLength(bytes, at) : 0;
    if (length > 0) {
      at += length;
      continue;
    }
    if (at > from) parts.push(strict.decode(bytes.subarray(from, at)));
    if (at < bytes.length) parts.push(String.fromCharCode(LOW + bytes[at]! - 0x80));
    from = ++at;
  }
  return parts.join("");
}

/** What may follow the first byte of a longer character, where that is less than any continuation byte (RFC 3629). */
const SECOND: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
  [0xe0, [0xa0, 0xbf]],
  [0xed, [0x80, 0x9f]],
  [0xf0, [0x90, 0xbf]],
  [0xf4, [0x80, 0x8f]],
]);

/** Length in bytes of the valid UTF-8 character at `at`; 0 where there is none. */
function characterLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (let i = 1; i < length; i++) {
    const [least, most] = i === 1 ? SECOND.get(first) ?? [0x80, 0xbf] : [0x80, 0xbf];
    const byte = bytes[at + i];
    if (byte === undefined || byte < least || byte > most) return 0;
  }
  return length;
}

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

/**
 * The slot of a cluster that a shard channel belongs to, 0 to 16383. Of a name with a `{tag}` that is not empty, only the first tag counts.
 *
 * Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 */
export function slotOf(name: Uint8Array): number {
  const open = name.indexOf(OPEN);
  const close = open < 0 ? -1 : name.indexOf(CLOSE, open + 1);
  const tagged = close > open + 1 ? name.subarray(open + 1, close) : name;
  let crc = 0;
  for (const byte of tagged) crc = ((crc << 8) & 0xffff) ^ CRC_TABLE[(crc >> 8) ^ byte]!;
  return crc % SLOTS;
}
