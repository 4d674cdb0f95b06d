/**
 * What a suite of measurements is. A suite lies in `suites/NAME.ts`, exports itself as `suite`, and is listed by name in
 * `main.ts`, which runs it, prints its tables and, with `--write`, keeps them.
 *
 * @module
 */

import type { Runtime } from "./runtimes.ts";
import type { Verdict } from "./verdict.ts";

/** How long to measure. */
export interface Plan {
  /** How often everything takes its turn. */
  readonly rounds: number;
  /** How long a program works before it is measured, in milliseconds. */
  readonly warmUpMs: number;
  /** How long it is measured, in milliseconds. */
  readonly measureMs: number;
  /** What full queues do, where a suite measures that; every policy when it is empty. */
  readonly overflow: readonly string[];
  /** For a look only: a suite leaves out what takes long, and stays within some 12 seconds. */
  readonly quick: boolean;
}

/** What a suite is given. */
export interface Ground {
  readonly plan: Plan;
  /** When it should be over, on the clock of `performance`: no round is begun that would end later, but for the first few. */
  readonly untilMs: number;
  /** The runtimes that are here; `missing` has been told about the others. */
  readonly runtimes: readonly Runtime[];
  /** Says what is going on, on standard error. */
  readonly log: (line: string) => void;
  /** Says that this machine lacks something, and what is therefore left out; kept with the outcome, told above its tables. */
  readonly missing: (what: string) => void;
  /** How many rounds there were in the end. */
  readonly counted: (rounds: number) => void;
  /** Something of ours failed: the others go on, and the program fails in the end. */
  readonly failed: () => void;
  /** Keeps the version of a program or library that was measured, beside those of the runtimes and npm packages. */
  readonly version: (name: string, version: string) => void;
}

/** One suite. */
export interface Suite<Outcome = unknown> {
  /** Its name on the command line, and of its file in `results/`. */
  readonly name: string;
  /** Heading in the output. */
  readonly title: string;
  /** Programs in `consumers/`, without `.ts`, that must be bundled for Node and Bun. */
  readonly programs: readonly string[];
  /**
   * Measures; the outcome must survive JSON.
   *
   * @throws {Error} when anything arrived that was not sent, or did not arrive that was
   */
  run(ground: Ground): Promise<Outcome>;
  /** The outcome as Markdown tables, with a sentence or two before each that say what was measured. */
  render(outcome: Outcome): string;
  /** Which targets are met, and which are not. */
  verdicts(outcome: Outcome): readonly Verdict[];
}
