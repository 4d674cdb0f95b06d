/**
 * Measures Earshot beside other clients: `deno task bench [SUITE…] [--quick] [--rounds N] [--seconds S] [--on RUNTIME…]
 * [--write]`.
 *
 * Without a name every suite runs. `--quick` takes under two minutes for all of them; `--rounds` and `--seconds` say how
 * often and how long everything is measured; `--on` leaves out the other runtimes; `--write` keeps the outcome in
 * `results/` and in the README of this folder.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { keep, type Kept, machine, page } from "./report.ts";
import { peerVersions, prepareRuntimes, type Runtime } from "./runtimes.ts";
import type { Plan, Suite } from "./suite.ts";

const SUITES = [
  "throughput",
  "redis",
  "latency",
  "publish",
  "start",
  "fanout",
  "subscribe",
  "memory",
  "growth",
  "size",
] as const;

interface Request {
  readonly suites: readonly string[];
  readonly plan: Plan;
  /** All of them where there is none. */
  readonly on: readonly string[];
  readonly write: boolean;
}

function request(args: string[]): Request {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      on: { type: "string", multiple: true, default: [] },
      write: { type: "boolean", default: false },
    },
  });
  const { quick, on, write } = values;
  const unknown = positionals.find((name) => !SUITES.some((known) => known === name));
  if (unknown !== undefined) throw new RangeError(`No such suite, known are ${SUITES.join(", ")}: ${unknown}`);
  const plan: Plan = {
    rounds: Math.ceil(positive("--rounds", values.rounds ?? (quick ? "1" : "5"))),
    warmUpMs: quick ? 150 : 300,
    measureMs: 1e3 * positive("--seconds", values.seconds ?? (quick ? "0.15" : "0.5")),
    quick,
  };
  return { suites: positionals.length === 0 ? SUITES : positionals, plan, on, write };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new RangeError(`Option ${option} must be a number above 0: ${text}`);
}

/** Suites are loaded when they are asked for, so that each can be worked on by itself. */
async function load(name: string): Promise<Suite> {
  const module: { readonly suite: Suite } = await import(`./suites/${name}.ts`);
  return module.suite;
}

function log(line: string): void {
  console.error(line);
}

async function main(): Promise<void> {
  const { suites: names, plan, on, write } = request(Deno.args);
  const suites = await Promise.all(names.map(load));
  const lacking: string[] = [];
  const programs = [...new Set(suites.flatMap(({ programs }) => programs))];
  const here = await prepareRuntimes(programs, (what) => void lacking.push(what));
  const unknown = on.find((wanted) => !here.some(({ name }) => name.toLowerCase() === wanted.toLowerCase()));
  if (unknown !== undefined) throw new RangeError(`Option --on must be a runtime of this machine: ${unknown}`);
  const runtimes = on.length === 0
    ? here
    : here.filter(({ name }) => on.some((wanted) => wanted.toLowerCase() === name.toLowerCase()));
  for (const suite of suites) {
    log(`${suite.name}: ${suite.title}`);
    const start = performance.now();
    try {
      const kept = await measure(suite, plan, runtimes, lacking);
      console.log(page(suite, kept));
      if (write) await keep(suite, kept);
    } catch (error) {
      // The others have their turn all the same.
      log(`${suite.name} failed: ${error instanceof Error ? error.stack : error}`);
      Deno.exitCode = 1;
    }
    log(`${suite.name}: took ${((performance.now() - start) / 1e3).toFixed(0)} s`);
  }
}

async function measure(
  suite: Suite,
  plan: Plan,
  runtimes: readonly Runtime[],
  lacking: readonly string[],
): Promise<Kept> {
  const missing = [...lacking];
  const versions: Record<string, string> = {
    ...Object.fromEntries(runtimes.map(({ name, version }) => [name, version])),
    ...await peerVersions(),
  };
  const outcome = await suite.run({
    plan,
    runtimes,
    log: (line) => log(`  ${line}`),
    missing: (what) => void (missing.includes(what) || missing.push(what)),
    version: (name, version) => void (versions[name] = version),
  });
  return { machine: await machine(), versions, missing, options: plan, outcome };
}

if (import.meta.main) await main();
