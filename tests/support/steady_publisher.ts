/** Publishes 0, 1, 2, … at a steady rate until it is told to stop. */

import { delay } from "@std/async";
import { RawConnection } from "./raw_connection.ts";

export class SteadyPublisher implements AsyncDisposable {
  /** How many numbers were published. */
  count = 0;
  #raw: RawConnection;
  #state: "running" | "stopped" = "running";
  #running: Promise<void>;

  private constructor(raw: RawConnection, perSecond: number, targets: readonly (readonly [string, string])[]) {
    this.#raw = raw;
    this.#running = this.#run(perSecond, targets);
  }

  /** `targets` are a verb and a channel each; every number goes to all of them. */
  static async start(
    port: number,
    perSecond: number,
    targets: readonly (readonly [verb: string, channel: string])[],
  ): Promise<SteadyPublisher> {
    return new SteadyPublisher(await RawConnection.open(port), perSecond, targets);
  }

  /** Stops; every number has been published when it resolves. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#raw[Symbol.asyncDispose]();
  }

  async #run(perSecond: number, targets: readonly (readonly [string, string])[]): Promise<void> {
    const start = performance.now();
    while (this.#isRunning()) {
      const due = Math.floor((performance.now() - start) * perSecond / 1_000);
      const commands: [string, string, number][] = [];
      for (; this.count < due; this.count++) for (const target of targets) commands.push([...target, this.count]);
      if (commands.length > 0) await this.#raw.askAll(commands);
      await delay(2);
    }
  }

  /** A method, since the state changes between awaits, which narrowing does not know. */
  #isRunning(): boolean {
    return this.#state === "running";
  }
}
