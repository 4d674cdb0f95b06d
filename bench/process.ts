/**
 * A child process that speaks in lines.
 *
 * @module
 */

/** How to start a process. */
export interface LinesOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/**
 * A child process whose standard output is read line by line. Its standard error is ours.
 *
 * @example
 * ```ts
 * await using child = new Lines(["deno", "eval", "console.log(1)"]);
 * const line = await child.next(5_000);
 * ```
 */
export class Lines implements AsyncDisposable {
  readonly #command: readonly string[];
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(command: readonly string[], options: LinesOptions = {}) {
    const [program = "", ...args] = command;
    this.#command = command;
    this.#process = new Deno.Command(program, {
      ...options,
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /**
   * The next line, without its end.
   *
   * @param timeoutMs how long it may take; after that the process is killed
   * @throws {Error} when the process ends before, or takes too long
   */
  async next(timeoutMs = 60_000): Promise<string> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.kill();
    }, timeoutMs);
    try {
      while (!this.#rest.includes("\n")) {
        const { value, done } = await this.#lines.read();
        if (done) throw new Error(this.#untimely(late ? timeoutMs : undefined));
        this.#rest += value;
      }
    } finally {
      clearTimeout(timer);
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }

  /** Writes a line to its standard input. */
  async say(line: string): Promise<void> {
    const writer = this.#process.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(`${line}\n`));
    } finally {
      writer.releaseLock();
    }
  }

  /** Sends SIGKILL; returns at once. */
  kill(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Kills it and waits for its end. */
  async end(): Promise<void> {
    this.kill();
    await this.#lines.cancel();
    await this.#process.stdin.close().catch(() => {});
    await this.#process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #untimely(timeoutMs: number | undefined): string {
    const what = timeoutMs === undefined
      ? "The process ended too early"
      : `The process said nothing for ${timeoutMs} ms`;
    return `${what}: ${this.#command.join(" ")}`;
  }
}
