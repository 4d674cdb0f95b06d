/**
 * Which core a process has, where a message at a time is measured. What a wake-up costs depends on who wakes whom: a
 * sleeper on the waker's own core is switched to, one on an idle core has to be woken by an interrupt. The scheduler does
 * now the one and now the other, which doubles the processor time of whoever is measured, so it is said who is where.
 *
 * @module
 */

import process from "node:process";
import { output } from "./runtimes.ts";
import type { Ground } from "./suite.ts";

/** Who has a core: the program that makes the load; and the server and the client, which share one. */
export type Role = "load" | "server and client";

const CORES: Readonly<Record<Role, number>> = { load: 0, "server and client": 1 };

/** Keeps a process on the core of its role: its first thread, so that those that compile and collect go where they like. */
export type Keep = (pid: number, role: Role) => Promise<void>;

/** How to do that; where this machine cannot, that is told as missing, and nobody is kept anywhere. */
export async function cores({ missing }: Pick<Ground, "missing">): Promise<Keep> {
  const keep: Keep = async (pid, role) => {
    await output("taskset", ["--pid", "--cpu-list", String(CORES[role]), String(pid)]);
  };
  try {
    // The affinity that we have ourselves is not changed by that.
    for (const core of Object.values(CORES)) await output("taskset", ["--cpu-list", String(core), "true"]);
    return keep;
  } catch {
    missing(`A core for each program (two of them, and \`taskset\`): on ${process.platform} the scheduler chooses`);
    return anywhere;
  }
}

/** Where the scheduler likes. */
export const anywhere: Keep = () => Promise.resolve();
