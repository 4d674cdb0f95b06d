/**
 * How much one reply may be. Against a peer that is broken or hostile, and generous to every real one.
 *
 * @module
 */

/** The limits of a reader. A peer that exceeds one gets a `ProtocolError`, before anything is stored for it. */
export interface ReaderLimits {
  /**
   * The longest bulk or verbatim string, in bytes; also the total of a streamed string.
   *
   * @default 536_870_912, the server's own `proto-max-bulk-len`
   */
  readonly bulkBytes: number;
  /**
   * The most elements of one top-level reply, those of its nested aggregates and attributes included; a pair counts
   * twice, and each attribute once more. An element takes at least 3 bytes on the wire and some 50 in memory, so this
   * bounds what few bytes can blow up to.
   *
   * @default 1_048_576
   */
  readonly elements: number;
  /**
   * How deep aggregates may nest; 1 allows those that hold no other.
   *
   * @default 128
   */
  readonly depth: number;
  /**
   * The longest line, in bytes, without its type byte and its CR LF: simple strings, numbers and headers. It holds for
   * the text of an error in either spelling.
   *
   * @default 65_536
   */
  readonly lineBytes: number;
}

const DEFAULTS: ReaderLimits = {
  bulkBytes: 512 * 1024 * 1024,
  elements: 1024 * 1024,
  depth: 128,
  lineBytes: 64 * 1024,
};

/**
 * The limits to hold: those given, and the default for every other.
 *
 * @throws {RangeError} when one is not a whole number of at least 0
 */
export function readerLimits(given: Partial<ReaderLimits> = {}): ReaderLimits {
  return {
    bulkBytes: limit("bulkBytes", given),
    elements: limit("elements", given),
    depth: limit("depth", given),
    lineBytes: limit("lineBytes", given),
  };
}

function limit(name: keyof ReaderLimits, given: Partial<ReaderLimits>): number {
  const value = given[name] ?? DEFAULTS[name];
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new RangeError(`Limit ${name} must be a whole number of at least 0: ${value}`);
}
