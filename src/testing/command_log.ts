/**
 * What clients have sent, for assertions on the wire.
 *
 * @module
 */

/** How many commands are kept. */
const COMMANDS = 10_000;
/** How many characters of commands are kept, the newest command apart. */
const CHARACTERS = 1_048_576;
/** How much of a word is kept, in characters. */
const WORD = 1_024;

/** The last commands, within bounds: a test that runs for an hour must not fill the memory. */
export class CommandLog {
  #entries: { words: readonly string[]; size: number }[] = [];
  #start = 0;
  #size = 0;

  /** Notes a command; long words are cut short, with `…` in the place of the rest. */
  add(words: readonly string[]): void {
    const kept = words.map((word) => word.length > WORD ? `${word.slice(0, WORD)}…` : word);
    const size = kept.reduce((sum, word) => sum + word.length + 1, 0);
    this.#entries.push({ words: kept, size });
    this.#size += size;
    const last = this.#entries.length - 1;
    while (this.#start < last && (last - this.#start >= COMMANDS || this.#size > CHARACTERS)) {
      this.#size -= this.#entries[this.#start]!.size;
      this.#start += 1;
    }
    // The array is shortened once in a while only: doing so moves all that is left.
    if (this.#start > COMMANDS) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  /** A copy of what is kept, the oldest first. */
  list(): string[][] {
    return this.#entries.slice(this.#start).map(({ words }) => [...words]);
  }
}
