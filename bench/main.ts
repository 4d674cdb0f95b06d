/**
 * Measures Earshot beside other clients: `deno task bench [SUITE…] [--quick] [--rounds N] [--seconds S] [--minutes M]
 * [--on RUNTIME…] [--overflow POLICY…] [--write]`.
 *
 * Without a name every suite runs. `--quick` takes under two minutes for all of them; `--rounds` and `--seconds` say how
 * often and how long everything is measured, `--minutes` how long all may take; `--on` leaves out the other runtimes, `--overflow` the other policies of `memory`;
 * `--write` keeps the outcome in `results/` and in the README of this folder.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { keep, keepSummary, type Kept, machine, page } from "./report.ts";
import { peerVersions, prepareRuntimes, type Runtime } from "./runtimes.ts";
import type { Plan, Suite } from "./suite.ts";

/** Their names, and how much of the time each may take. */
const SHARES = {
  throughput: 40,
  profile: 2,
  redis: 15,
  latency: 12,
  publish: 7,
  start: 4,
  fanout: 4,
  subscribe: 8,
  memory: 8,
  growth: 7,
  size: 1,
};

type SuiteName = keyof typeof SHARES;

const NAMES = Object.keys(SHARES) as SuiteName[];

interface Request {
  readonly suites: readonly SuiteName[];
  readonly plan: Plan;
  /** How long all may take. */
  readonly minutes: number;
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
      minutes: { type: "string", default: "25" },
      on: { type: "string", multiple: true, default: [] },
      overflow: { type: "string", multiple: true, default: [] },
      write: { type: "boolean", default: false },
    },
  });
  const { quick, on, write } = values;
  const suites = positionals.map((name) => {
    const found = NAMES.find((known) => known === name);
    if (found === undefined) throw new RangeError(`No such suite, known are ${NAMES.join(", ")}: ${name}`);
    return found;
  });
  const plan: Plan = {
    rounds: Math.ceil(positive("--rounds", values.rounds ?? (quick ? "1" : "5"))),
    warmUpMs: quick ? 150 : 1_000,
    measureMs: 1e3 * positive("--seconds", values.seconds ?? (quick ? "0.15" : "0.4")),
    overflow: values.overflow,
    quick,
  };
  const minutes = positive("--minutes", values.minutes);
  return { suites: suites.length === 0 ? NAMES : suites, plan, minutes, on, write };
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

/** Those of `here` that are asked for. */
function chosen(here: readonly Runtime[], on: readonly string[]): readonly Runtime[] {
  const wanted = on.map((name) => name.toLowerCase());
  const strange = wanted.find((name) => !here.some((one) => one.name.toLowerCase() === name));
  if (strange !== undefined) throw new RangeError(`Option --on must be a runtime of this machine: ${strange}`);
  return wanted.length === 0 ? here : here.filter(({ name }) => wanted.includes(name.toLowerCase()));
}

async function main(): Promise<void> {
  const { suites: names, plan, minutes, on, write } = request(Deno.args);
  const suites = await Promise.all(names.map(load));
  const lacking: string[] = [];
  const programs = [...new Set(suites.flatMap(({ programs }) => programs))];
  const runtimes = chosen(await prepareRuntimes(programs, (what) => void lacking.push(what)), on);
  const endMs = performance.now() + minutes * 60e3;
  let shares = names.reduce((sum, name) => sum + SHARES[name], 0);
  for (const [index, suite] of suites.entries()) {
    log(`${suite.name}: ${suite.title}`);
    const start = performance.now();
    const share = SHARES[names[index]!];
    const untilMs = start + (endMs - start) * share / shares;
    shares -= share;
    try {
      const kept = await measure(suite, { plan, untilMs, runtimes, lacking });
      console.log(page(suite, kept));
      if (write) await keep(suite, kept);
    } catch (error) {
      // The others have their turn all the same.
      log(`${suite.name} failed: ${error instanceof Error ? error.stack : error}`);
      Deno.exitCode = 1;
    }
    log(`${suite.name}: took ${((performance.now() - start) / 1e3).toFixed(0)} s`);
  }
  if (write) await keepSummary(await Promise.all(NAMES.map(load)));
}

interface Ground {
  readonly plan: Plan;
  readonly untilMs: number;
  readonly runtimes: readonly Runtime[];
  readonly lacking: readonly string[];
}

async function measure(suite: Suite, { plan, untilMs, runtimes, lacking }: Ground): Promise<Kept> {
  const missing = [...lacking];
  let { rounds } = plan;
  const versions: Record<string, string> = {
    ...Object.fromEntries(runtimes.map(({ name, version }) => [name, version])),
    ...await peerVersions(),
  };
  const outcome = await suite.run({
    plan,
    untilMs,
    runtimes,
    log: (line) => log(`  ${line}`),
    missing: (what) => void (missing.includes(what) || missing.push(what)),
    counted: (count) => void (rounds = count),
    failed: () => void (Deno.exitCode = 1),
    version: (name, version) => void (versions[name] = version),
  });
  return { machine: await machine(), versions, missing, options: { ...plan, rounds }, outcome };
}

if (import.meta.main) await main();
