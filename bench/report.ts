/**
 * What is kept of a suite: a file in `results/`, and its block in the README, made from that.
 *
 * @module
 */

import os from "node:os";
import { fileURLToPath } from "node:url";
import { output } from "./runtimes.ts";
import type { Plan, Suite } from "./suite.ts";
import { summaryTable, tally } from "./verdict.ts";

/** Where it was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  /** What TCP obeys here, where the system tells: BBR paces what a server sends, on a loopback too. */
  readonly congestionControl: string | undefined;
}

/** A file in `results/`. */
export interface Kept {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  /** What the machine lacked, and what was therefore left out. */
  readonly missing: readonly string[];
  readonly options: Plan;
  readonly outcome: unknown;
}

const README = new URL("README.md", import.meta.url);

/** This machine. */
export async function machine(): Promise<Machine> {
  const cpus = os.cpus();
  const told = await Deno.readTextFile("/proc/sys/net/ipv4/tcp_congestion_control").catch(() => undefined);
  return {
    cpu: cpus[0]?.model ?? "unknown",
    cores: cpus.length,
    platform: `${os.platform()} ${os.arch()}`,
    congestionControl: told?.trim(),
  };
}

/** A suite's outcome as Markdown, with its heading. */
export function page(suite: Suite, kept: Kept): string {
  return `## ${suite.title}\n\n${block(suite, kept)}\n`;
}

/**
 * Writes `results/NAME.json`, and the suite's block of the README.
 *
 * @throws {Error} when the README has no place for it
 */
export async function keep(suite: Suite, kept: Kept): Promise<void> {
  const results = resultsOf(suite);
  await Deno.mkdir(new URL(".", results), { recursive: true });
  await Deno.writeTextFile(results, `${JSON.stringify(kept, undefined, 2)}\n`);
  await output(Deno.execPath(), ["fmt", "--quiet", fileURLToPath(results)]);
  await put(suite.name, block(suite, kept));
}

/**
 * Writes the summary of all results into the README: which targets are met.
 *
 * @throws {Error} when the README has no place for it
 */
export async function keepSummary(suites: readonly Suite[]): Promise<void> {
  const parts: string[] = [];
  for (const suite of suites) {
    const text = await Deno.readTextFile(resultsOf(suite)).catch(() => undefined);
    if (text === undefined) continue;
    const { options, outcome }: Kept = JSON.parse(text);
    const verdicts = suite.verdicts(outcome);
    if (verdicts.length === 0) continue;
    const quick = options.quick ? " A quick look, no claim." : "";
    parts.push(`**${suite.title}.** ${tally(verdicts)}${quick}`, summaryTable(verdicts));
  }
  await put("summary", parts.join("\n\n"));
}

function resultsOf({ name }: Suite): URL {
  return new URL(`results/${name}.json`, import.meta.url);
}

/** Writes a block of the README. */
async function put(name: string, text: string): Promise<void> {
  const readme = await Deno.readTextFile(README);
  const [begin, end] = [`<!-- begin: ${name} -->`, `<!-- end: ${name} -->`];
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`The README of bench has no place for the tables: ${begin}`);
  await Deno.writeTextFile(README, `${readme.slice(0, from)}${begin}\n\n${text}\n\n${readme.slice(to)}`);
  await output(Deno.execPath(), ["fmt", "--quiet", fileURLToPath(README)]);
}

function block(suite: Suite, { machine, versions, missing, options, outcome }: Kept): string {
  const { rounds, warmUpMs, measureMs, quick } = options;
  const asked = `${rounds} ${rounds === 1 ? "round" : "rounds"} of ${measureMs / 1e3} s after ${warmUpMs / 1e3} s`;
  const { congestionControl } = machine;
  const congestion = congestionControl === undefined ? undefined : `TCP with ${congestionControl}`;
  const where = [
    quick ? `\`--quick\`, good for a look, not for a claim: ${asked}` : asked,
    [machine.cpu, `${machine.cores} cores`, machine.platform, congestion].filter((part) => part !== undefined).join(
      ", ",
    ),
    Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", "),
  ];
  return [
    `${where.join(". ")}.`,
    ...(missing.length === 0 ? [] : [missing.map((what) => `- Missing: ${what}`).join("\n")]),
    suite.render(outcome),
  ].join("\n\n");
}
