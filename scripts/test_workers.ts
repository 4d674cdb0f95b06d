/**
 * Runs on `workerd`, the runtime of Workers: the tests that need no sockets of their own, the contract of the transport,
 * and the examples against a real Redis. All of it on the npm package, as a user has it.
 *
 * @module
 */

import { build, type BuildOptions, stop } from "esbuild";
import { resolve } from "node:path";
import config from "../deno.json" with { type: "json" };
import { startWorkerd } from "../tests/support/workerd/workerd.ts";
import { serveFarSides } from "../tests/support/workerd/far_server.ts";
import type { Outcome } from "../tests/support/workerd/registry.ts";
import { deno, listFiles, npmInstall, ROOT } from "./deno.ts";
import { type Counts, judge, one, sum } from "./junit.ts";
import type { NpmProject } from "./npm_project.ts";

/** What came of it, and what to print when it failed. */
export interface WorkersRun {
  counts: Counts;
  output: string;
}

const EXAMPLES = "examples/workers";
const CONTRACT = "tests/contract/workers_test.ts";
/** Tests that drive `workerd` from outside. */
const DRIVERS = "tests/workers/";
/** Tests of other runtimes, or that need files, processes or a server. */
const ELSEWHERE = ["tests/contract/", "tests/live/", "tests/scripts/", "tests/npm/", DRIVERS];

/** Tests of what a Worker cannot do, by their path or by what they import. */
const IMPOSSIBLE: readonly { path?: RegExp; text?: RegExp; reason: string }[] = [
  { text: /\/garbage\.ts"|"node:v8"/, reason: "a Worker cannot ask for a garbage collection" },
  {
    path: /stream_(platform_\w+|pipe|of_pubsub)_test\.ts$/,
    reason: "the platform's own pipes differ from the standard: an abort does not end one that waits",
  },
];

/** Whether a test file runs inside `workerd`. */
export function runsOnWorkers(path: string): boolean {
  return path === CONTRACT || !ELSEWHERE.some((folder) => path.startsWith(folder));
}

/** Whether a test file drives `workerd` from outside. */
export function drivesWorkers(path: string): boolean {
  return path.startsWith(DRIVERS);
}

/** Installs `workerd` beside the package, and runs all of it. */
export async function testOnWorkers(
  { folder }: NpmProject,
  tests: readonly string[],
  importMap: readonly string[],
): Promise<WorkersRun> {
  const { imports } = config;
  const workerd = await npmInstall(folder, [imports.workerd, imports["@cloudflare/workers-types"]].map(specOf));
  if (!workerd.ok) return skipped(`Workers (skipped: npm does not bring workerd: ${workerd.output.trim()})`);
  const runs: WorkersRun[] = [];
  const inside: string[] = [];
  for (const path of tests.filter(runsOnWorkers)) {
    const source = await Deno.readTextFile(resolve(ROOT, path));
    const found = IMPOSSIBLE.find((it) => it.path?.test(path) || it.text?.test(source));
    if (found === undefined) inside.push(path);
    else runs.push(skipped(`${path} on Workers (skipped: ${found.reason})`));
  }
  const drivers = tests.filter(drivesWorkers);
  try {
    if (drivers.length > 0) {
      runs.push(await bundleExamples(folder), await checkTypes(folder));
      runs.push(await runDrivers(folder, drivers, importMap));
    }
    if (inside.length > 0) runs.push(await runInside(folder, inside));
  } finally {
    await stop();
  }
  if (runs.length === 0) return failure("Workers", "There is no such test");
  return { counts: sum(runs.map(({ counts }) => counts)), output: runs.map(({ output }) => output).join("") };
}

function specOf(specifier: string): string {
  return specifier.replace(/^npm:/, "");
}

/** As `wrangler` bundles: one file for the platform's own conditions, built-in modules left alone. */
const BUNDLE = {
  bundle: true,
  write: true,
  platform: "browser",
  conditions: ["workerd", "worker", "browser"],
  format: "esm",
  target: "es2024",
  logLevel: "silent",
  metafile: true,
  external: ["cloudflare:*"],
} as const satisfies BuildOptions;

/** Any module of Node that is reached is an error here, as nothing says where to find it. */
async function bundleExamples(project: string): Promise<WorkersRun> {
  for (const path of await listFiles(EXAMPLES)) {
    const source = await Deno.readTextFile(resolve(ROOT, path));
    await write(resolve(project, path), source);
  }
  const examples = await listFiles(EXAMPLES);
  try {
    await build({ ...BUNDLE, absWorkingDir: project, entryPoints: examples, outdir: "bundles" });
  } catch (error) {
    return failure("To bundle the examples for Workers", error instanceof Error ? error.message : String(error));
  }
  return { counts: one("passed", "To bundle the examples for Workers"), output: "" };
}

/** The examples and the declarations of the package, against the platform's own types. */
async function checkTypes(project: string): Promise<WorkersRun> {
  const options = ["--noEmit", "--strict", "--module", "esnext", "--moduleResolution", "bundler", "--target", "esnext"];
  const types = ["--lib", "esnext", "--types", "@cloudflare/workers-types"];
  const args = ["run", "-A", "--no-config", `${config.imports.typescript}/tsc`, ...options, ...types];
  const ended = await deno([...args, ...await listFiles(EXAMPLES)], { cwd: project });
  return verdict("The types of the examples", ended);
}

async function runDrivers(
  project: string,
  drivers: readonly string[],
  importMap: readonly string[],
): Promise<WorkersRun> {
  const report = resolve(project, "workers.xml");
  const args = ["test", "-A", "--no-check", "--reporter=dot", `--junit-path=${report}`, ...importMap];
  const { ok, output } = await deno([...args, ...drivers], { env: { EARSHOT_WORKERS: project } });
  return { counts: judge(ok, await Deno.readTextFile(report).catch(() => "")), output: ok ? "" : output };
}

/** Each file is loaded inside a request: at its start a Worker may neither wait nor roll dice. */
async function runInside(project: string, tests: readonly string[]): Promise<WorkersRun> {
  const support = resolve(ROOT, "tests/support");
  const registry = resolve(support, "workerd/registry.ts");
  const files = tests.map((path) => `"${path}": () => import(${JSON.stringify(resolve(ROOT, path))}),`);
  const entry = [
    `import { workerOf } from ${JSON.stringify(resolve(support, "workerd/worker.ts"))};`,
    // Where I/O, timers and chance are forbidden a client can be made all the same: else this would not load.
    `import { Client } from "${config.name}";`,
    `globalThis.made = new Client("redis://localhost");`,
    `export default workerOf({ ${files.join("\n")} });`,
  ];
  try {
    await build({
      ...BUNDLE,
      stdin: { contents: entry.join("\n"), resolveDir: project },
      outfile: resolve(project, "suite.js"),
      // The tests themselves use Node's assertions and such; the library must not.
      external: [...BUNDLE.external, "node:*"],
      nodePaths: [resolve(project, "node_modules")],
      alias: { "@std/assert": resolve(support, "std/assert.ts"), "@std/async": resolve(support, "std/async.ts") },
      plugins: [{
        name: "runner",
        setup: ({ onResolve }) =>
          onResolve({ filter: /\/(test|skip|after_all)\.ts$/ }, ({ resolveDir, path }) => {
            return resolve(resolveDir, path, "..") === support ? { path: registry } : undefined;
          }),
      }],
    });
  } catch (error) {
    return failure("To bundle the tests for Workers", error instanceof Error ? error.message : String(error));
  }
  await using far = serveFarSides();
  await using server = await startWorkerd(project, { bundle: "suite.js", env: { FAR: far.url }, nodejs: true });
  const runs: WorkersRun[] = [];
  for (const path of tests) {
    const response = await fetch(`${server.url}/${path}`);
    if (!response.ok) runs.push(failure(path, `${await response.text()}\n${server.output()}`));
    else runs.push(...(await response.json() as Outcome[]).map((outcome) => runOf(path, outcome)));
  }
  return { counts: sum(runs.map(({ counts }) => counts)), output: runs.map(({ output }) => output).join("") };
}

function runOf(path: string, { name, verdict, detail }: Outcome): WorkersRun {
  return verdict === "failed" ? failure(`${path}: ${name}`, detail) : { counts: one(verdict, name), output: "" };
}

function skipped(reason: string): WorkersRun {
  return { counts: one("skipped", reason), output: "" };
}

function failure(what: string, output: string): WorkersRun {
  return { counts: one("failed", what), output: `${what}:\n${output}\n` };
}

function verdict(what: string, { ok, output }: { ok: boolean; output: string }): WorkersRun {
  return ok ? { counts: one("passed", what), output: "" } : failure(what, output);
}

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(resolve(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, text);
}
