/**
 * Runs the suite on Node and on Bun against the npm package of an {@linkcode NpmProject}.
 *
 * @module
 */

import { delimiter, dirname, resolve } from "node:path";
import process from "node:process";
import { run } from "./deno.ts";
import { type Counts, judge, one, sum } from "./junit.ts";
import type { NpmProject } from "./npm_project.ts";
import type { Found, Runtime } from "./runtimes.ts";

/** What came of it, what to print when it failed, and what to say of each runtime. */
export interface NodeRun {
  counts: Counts;
  output: string;
  note: string;
}

/** How many test files run at a time where servers take part: they wait for most of their time. */
export const JOBS = 2;

/** What a runtime is tried with where another one has run everything: where they differ is sockets, streams, processes. */
const SHORT = [
  "tests/contract/",
  "tests/stream/",
  "tests/live/cli_test.ts",
  "tests/live/commands_test.ts",
  "tests/live/deliver_test.ts",
  "tests/live/ending_test.ts",
  "tests/live/readme_test.ts",
  "tests/live/reconnect_test.ts",
  "tests/live/sockets_test.ts",
  "tests/live/tls_test.ts",
];

/** The part of the tests that a further runtime runs. */
export function shortSet(tests: readonly string[]): string[] {
  return tests.filter((path) => SHORT.some((start) => path.startsWith(start)));
}

/** Runs the tests on each program in turn; what is missing counts as one skipped. */
export async function testOnNodes(
  project: NpmProject,
  tests: readonly string[],
  programs: readonly Found[],
): Promise<NodeRun> {
  const runs: NodeRun[] = [];
  for (const found of programs) {
    runs.push(found.kind === "found" ? await testOnNode(project, tests, found.runtime) : missing(found));
  }
  return {
    counts: sum(runs.map(({ counts }) => counts)),
    output: runs.map(({ output }) => output).join(""),
    note: runs.map(({ note }) => note).join("; "),
  };
}

function missing({ title, reason }: { title: string; reason: string }): NodeRun {
  return { counts: one("skipped", `${title} (skipped: ${reason})`), output: "", note: `${title}: not to be had` };
}

async function testOnNode({ folder }: NpmProject, tests: readonly string[], runtime: Runtime): Promise<NodeRun> {
  const { kind, program, title } = runtime;
  const files = tests.map((path) => path.replace(/\.ts$/, ".mjs"));
  // What a test starts by its name is to be of this runtime, too.
  const PATH = `${dirname(program)}${delimiter}${process.env.PATH ?? ""}`;
  const shares = kind === "Bun" ? sharesOf(files, JOBS) : [files];
  const runs = await Promise.all(shares.map(async (share, index) => {
    const report = resolve(folder, `${title.replaceAll(" ", "-")}-${index}.xml`);
    const { ok, output } = await run(program, RUNNERS[kind](report, share), { cwd: folder, env: { PATH } });
    const counts = judge(ok, await Deno.readTextFile(report).catch(() => ""));
    return { counts, output: ok ? "" : `${title}:\n${FAILURES[kind](output)}` };
  }));
  const counts = sum(runs.map(({ counts }) => counts));
  return {
    counts,
    output: runs.map(({ output }) => output).join(""),
    note: `${title}: ${counts.passed} passed${counts.failed > 0 ? `, ${counts.failed} FAILED` : ""}`,
  };
}

/** Deals the files out; shares that would be empty are left out. */
function sharesOf(files: readonly string[], count: number): string[][] {
  const shares = Array.from({ length: count }, (_, share) => files.filter((_, index) => index % count === share));
  return shares.filter((share) => share.length > 0);
}

/** How each runtime is told to run tests and to write a report. */
const RUNNERS: Record<Runtime["kind"], (report: string, files: readonly string[]) => string[]> = {
  Node: (report, files) => [
    "--enable-source-maps",
    "--test",
    `--test-concurrency=${JOBS}`,
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    ...files,
  ],
  // Its own limit is 5 seconds a test; a path without a dot is a pattern.
  Bun: (report, files) => [
    "test",
    "--timeout=120000",
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    ...files.map((path) => `./${path}`),
  ],
};

/** What is worth telling of all that a runner prints. */
const FAILURES: Record<Runtime["kind"], (output: string) => string> = {
  // The end of what the `spec` reporter prints, where it repeats the failed tests.
  Node: (output) => output.slice(Math.max(0, output.indexOf("failing tests:"))),
  // Without what passed, and the names of files of which nothing is left.
  Bun: (output) => output.replace(/^\((pass|skip)\).*\n/gm, "").replace(/^\S+\.mjs:\n+(?=\S+\.mjs:\n)/gm, ""),
};
