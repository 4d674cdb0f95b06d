/**
 * What a command sees of the world: where it prints, what it reads, and when it is told to stop.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";

/** What a command sees of the world. */
export interface Terminal {
  /** Prints a line of the result; resolves when there is room for more. */
  out(line: string): Promise<void>;
  /** Prints a line of remarks. */
  note(line: string): void;
  /** All that comes in. */
  input(): Promise<Uint8Array>;
  /** The server to use where none is named. */
  readonly url: string | undefined;
  /** Is a person watching? */
  readonly watched: boolean;
  /** Aborted by Ctrl-C, by SIGTERM, or when nobody reads the output any more. */
  readonly stop: AbortSignal;
}

/** The terminal of this process. */
export function terminal(): Terminal {
  const { stdout, stderr, stdin } = process;
  const stop = new AbortController();
  const abort = () => stop.abort();
  process.once("SIGINT", abort);
  process.once("SIGTERM", abort);
  stdout.on("error", abort);
  return {
    out: (line) =>
      new Promise((resolve) => {
        if (stop.signal.aborted || stdout.write(`${line}\n`)) return resolve();
        const done = () => {
          stdout.off("drain", done);
          stop.signal.removeEventListener("abort", done);
          resolve();
        };
        stdout.once("drain", done);
        stop.signal.addEventListener("abort", done, { once: true });
      }),
    note: (line) => void stderr.write(`${line}\n`),
    input: async () => {
      const end = () => stdin.destroy();
      if (stop.signal.aborted) end();
      stop.signal.addEventListener("abort", end, { once: true });
      const chunks: Uint8Array[] = [];
      for await (const chunk of stdin) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    // Only looked at where no server is named: Deno asks for a permission.
    get url() {
      return fromEnvironment();
    },
    watched: stdout.isTTY === true,
    stop: stop.signal,
  };
}

function fromEnvironment(): string | undefined {
  try {
    return process.env.REDIS_URL || undefined;
  } catch (error) {
    // Deno may not look: as if it were not set.
    if (error instanceof Error && error.name === "NotCapable") return undefined;
    throw error;
  }
}
