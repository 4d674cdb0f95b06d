/** Publishes 0, 1, 2, … to some channels until it is told to stop, whatever becomes of the server. */

import { delay } from "@std/async";
import { RawConnection } from "./raw_connection.ts";

/** How long it waits between two numbers, or before it connects again, in milliseconds. */
const PAUSE_MS = 3;

export class NumberedPublisher implements AsyncDisposable {
  #state: "running" | "stopped" = "running";
  #running: Promise<void>;

  /** `targets` are a verb and a channel each; `login` is that of the raw connection. */
  constructor(port: number, login: readonly string[], targets: readonly (readonly [verb: string, channel: string])[]) {
    this.#running = this.#run(port, login, targets);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = "stopped";
    await this.#running;
  }

  async #run(port: number, login: readonly string[], targets: readonly (readonly [string, string])[]): Promise<void> {
    let number = 0;
    while (this.#state === "running") {
      const raw = await RawConnection.open(port, login).catch(() => undefined);
      try {
        while (raw !== undefined && this.#isRunning()) {
          const payload = number++;
          await raw.askAll(targets.map(([verb, channel]) => [verb, channel, payload]));
          await delay(PAUSE_MS);
        }
      } catch {
        // The server has gone: what was on its way is lost, and the next number follows when it is back.
      } finally {
        await raw?.[Symbol.asyncDispose]();
      }
      await delay(PAUSE_MS);
    }
  }

  /** A method, since the state changes between awaits, which narrowing does not know. */
  #isRunning(): boolean {
    return this.#state === "running";
  }
}
