/**
 * Keeps the rest of what was read until whoever has taken of it asks for more, or, where nobody does, until everything
 * that can run now has run.
 *
 * @module
 */

import type { Run } from "../run/run.ts";
import type { Clock } from "./clock.ts";

/** That of one connection. */
export class Demand {
  readonly #clock: Clock;
  readonly #goOn: () => void;
  /** `kept`: the rest waits. `over`: nobody asked for it, so that nothing of this read waits any more. */
  #state: "open" | "kept" | "over" = "open";
  #run: Run | undefined;
  #endTurn: (() => void) | undefined;

  /** `goOn` hands out what was kept, and must not throw. */
  constructor(clock: Clock, goOn: () => void) {
    this.#clock = clock;
    this.#goOn = goOn;
  }

  /** Something new was read. */
  renew(): void {
    this.#state = "open";
  }

  /** Are the next messages of a run to be kept, since somebody who has taken some may ask for more? */
  keeps(run: Run): boolean {
    if (run.state !== "resting") return false;
    this.#run = run;
    if (this.#state === "over") {
      run.state = "flowing";
      return false;
    }
    this.#state = "kept";
    run.more = this.#ask;
    this.#endTurn ??= this.#clock.after(0, () => {
      this.#endTurn = undefined;
      if (this.release()) this.#goOn();
    });
    return true;
  }

  /** Keeps nothing of this read any more; true where something was kept, which is to be handed out now. */
  release(): boolean {
    if (this.#state !== "kept") return false;
    this.#state = "over";
    this.#run!.state = "flowing";
    return true;
  }

  /** Nobody is heard any more. */
  end(): void {
    this.#endTurn?.();
    if (this.#run !== undefined) this.#run.more = undefined;
  }

  #ask = (): void => {
    if (!this.release()) return;
    this.#state = "open";
    this.#goOn();
  };
}
