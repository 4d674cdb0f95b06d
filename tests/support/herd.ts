/** Ten thousand clients that lose the same server in the same moment: how fast do they all come back at once? Pure. */
import { backoffMs, type BackoffOptions } from "../../src/connection/backoff.ts";
import { Dice } from "./dice.ts";

/** What the server went through. */
export interface Outage {
  readonly clients: number;
  /** For how long every attempt fails, in milliseconds. */
  readonly downMs: number;
  readonly seed: number;
}

/** How the clients came back. */
export interface Herd {
  /** The most attempts in any 10 ms, and in any 100 ms, while it is down and after. */
  readonly peakPer10Ms: number;
  readonly peakPer100Ms: number;
  /** The most that come in any 100 ms once the server is back: what it has to bear when it has just started. */
  readonly peakBack: number;
  /** When the last one was back, in milliseconds after the server. */
  readonly lastMs: number;
}

/** Every client tries until the server is back. */
export function stampede(options: BackoffOptions, { clients, downMs, seed }: Outage): Herd {
  const dice = new Dice(seed);
  const attempts: number[] = [];
  const back: number[] = [];
  for (let client = 0; client < clients; client++) {
    let now = 0;
    for (let attempt = 1; now < downMs || attempt === 1; attempt++) {
      now += backoffMs(attempt, dice.next(), options);
      attempts.push(now);
    }
    back.push(now);
  }
  return {
    peakPer10Ms: peak(attempts, 10),
    peakPer100Ms: peak(attempts, 100),
    peakBack: peak(back, 100),
    lastMs: Math.max(...back) - downMs,
  };
}

/** The most of `times` within any window of `ms`. */
function peak(times: readonly number[], ms: number): number {
  const sorted = Float64Array.from(times).sort();
  let most = 0;
  for (let from = 0, to = 0; to < sorted.length; to++) {
    while (sorted[to]! - sorted[from]! > ms) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}
