/**
 * The one test command: `deno run -A scripts/test.ts [all | everywhere | ok | STEP] [PATH…]`. Every step runs, also after
 * a failed one; the last line is `N passed, N failed`. With paths only the tests below them run. A path that ends in
 * `.tgz` is an npm package to test in place of one that is built now.
 *
 * @module
 */

import { resolve } from "node:path";
import { deno, type Ended, importMapArgs, listFiles, ROOT } from "./deno.ts";
import { findServer } from "../tests/support/redis_server.ts";
import { closingLine, type Counts, judge, one, sum } from "./junit.ts";
import { NpmProject, runsOnNode } from "./npm_project.ts";
import { bun, fit, furtherNodes, nodeOnPath } from "./runtimes.ts";
import { JOBS, shortSet, testOnNodes } from "./test_node.ts";
import { testPackage } from "./test_package.ts";
import { drivesWorkers, testOnWorkers } from "./test_workers.ts";

const GATE = ["format", "lint", "types", "layers", "documents", "examples", "publish", "pure"] as const;
const STEP_NAMES = [...GATE, "redis", "live", "package", "node", "nodes", "bun", "workers"] as const;

type StepName = typeof STEP_NAMES[number];

/** `everywhere` runs the whole suite on every runtime, `all` a part of it on those that differ least. */
const SETS: Record<string, readonly StepName[]> = { all: STEP_NAMES, everywhere: STEP_NAMES, ok: GATE };

interface Step {
  title: string;
  run(context: Context): Promise<Result>;
}

interface Context {
  /** How to find the development dependencies. */
  importMap: readonly string[];
  /** The test files that were asked for. */
  tests: readonly string[];
  /** Whether these tests, all of them, are to run on every runtime. */
  whole: boolean;
  /** The npm package, installed; built when it is first asked for. */
  project(): Promise<NpmProject>;
}

interface Result {
  counts: Counts;
  /** Printed when something failed. */
  output: string;
  /** Printed after the title. */
  note?: string;
}

const ENTRIES = ["mod.ts", "src/testing/mod.ts", "src/cli/main.ts"];

/** These tests need the network, files or other programs; all others run without any permission. */
const NEEDY = ["tests/live/", "tests/contract/", "tests/scripts/", "tests/npm/", "tests/workers/"];

/** What the `dot` reporter prints of each test, a line each where there is no terminal. */
const DOTS = /^[.,!]\n/gm;

/** What a test leaves behind, a timer or a socket, fails it. The live tests share servers, so they look for themselves. */
const SANITIZERS = ["--sanitize-ops", "--sanitize-resources", "--trace-leaks"];

const STEPS: Record<StepName, Step> = {
  format: { title: "Format", run: () => check(["fmt", "--check"]) },
  lint: { title: "Lint", run: () => check(["lint"]) },
  types: { title: "Types", run: checkTypes },
  layers: { title: "Layers", run: () => check(["run", "-A", "scripts/check_layers.ts"]) },
  documents: { title: "Documents", run: () => check(["doc", "--lint", ...ENTRIES]) },
  examples: { title: "Examples in the documents", run: runExamples },
  publish: { title: "Publish, dry run", run: () => check(["publish", "--dry-run", "--allow-dirty", "--no-check"]) },
  pure: {
    title: "Pure tests, no permission",
    run: ({ importMap, tests }) =>
      runTests(tests.filter((path) => !isNeedy(path)), [...importMap, "--no-prompt", "--parallel", ...SANITIZERS]),
  },
  redis: { title: "A Redis to test on", run: findRedis },
  live: {
    title: "Live tests",
    run: ({ importMap, tests }) => {
      const needy = tests.filter((path) => isNeedy(path) && !drivesWorkers(path));
      return runTests(needy, [...importMap, "-A", "--parallel"], { DENO_JOBS: String(JOBS) });
    },
  },
  package: { title: "npm package", run: async ({ project }) => await testPackage(await project()) },
  node: {
    title: "npm package on Node",
    run: async ({ project, tests }) => {
      const nodes = fit([await nodeOnPath()], (await findServer()).kind);
      return await testOnNodes(await project(), tests.filter(runsOnNode), nodes);
    },
  },
  nodes: {
    title: "npm package on further Nodes",
    run: async ({ project, tests, whole }) => {
      const some = tests.filter(runsOnNode);
      const nodes = fit(await furtherNodes(), (await findServer()).kind);
      return await testOnNodes(await project(), whole ? some : shortSet(some), nodes);
    },
  },
  bun: {
    title: "npm package on Bun",
    run: async ({ project, tests }) => await testOnNodes(await project(), tests.filter(runsOnNode), [await bun()]),
  },
  workers: {
    title: "npm package on Workers",
    run: async ({ project, tests, importMap }) => await testOnWorkers(await project(), tests, importMap),
  },
};

async function check(args: readonly string[]): Promise<Result> {
  return fromEnd(await deno(args));
}

function fromEnd({ ok, output }: Ended): Result {
  return { counts: one(ok ? "passed" : "failed", "the step"), output };
}

async function checkTypes({ importMap }: Context): Promise<Result> {
  const files = (await Promise.all(["src", "tests", "scripts", "bench", "examples"].map(listFiles))).flat();
  // Those of Workers are checked with the platform's own types, see test_workers.ts.
  const ours = files.filter((path) => !path.startsWith("examples/workers/"));
  return await check(["check", "--quiet", ...importMap, "mod.ts", ...ours]);
}

async function runTests(
  files: readonly string[],
  options: readonly string[],
  env: Record<string, string> = {},
): Promise<Result> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const args = ["test", "--no-check", "--reporter=dot", `--junit-path=${report}`, ...options, ...files];
    const { ok, output } = files.length > 0
      ? await deno(args, { env })
      : { ok: false, output: "There is no such test\n" };
    return { counts: judge(ok, await Deno.readTextFile(report)), output: output.replace(DOTS, "") };
  } finally {
    await Deno.remove(report);
  }
}

/** Every example runs, and tells its failure by throwing: one that hangs is stopped by the limit of the program. */
async function runExamples({ importMap }: Context): Promise<Result> {
  const documented = (await listFiles("src")).filter((path) => !path.startsWith("src/cli/"));
  return await runTests(["mod.ts", ...documented], [...importMap, "--doc", "--allow-net"]);
}

async function findRedis(): Promise<Result> {
  const { prepareRedis } = await import("./redis.ts");
  const prepared = await prepareRedis();
  return prepared.ok ? { ...fromEnd(prepared), note: prepared.output } : fromEnd(prepared);
}

function isNeedy(path: string): boolean {
  return NEEDY.some((folder) => path.startsWith(folder));
}

async function runStep(step: Step, context: Context): Promise<Counts> {
  const start = performance.now();
  let result: Result;
  try {
    result = await step.run(context);
  } catch (error) {
    result = fromEnd({ ok: false, output: `${error instanceof Error ? error.stack : String(error)}\n` });
  }
  const { counts, output, note } = result;
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  const single = counts.passed + counts.failed === 1;
  const told = note ?? (single ? undefined : closingLine(counts));
  const mark = counts.failed > 0 ? paint("FAILED", "red") : paint("ok", "green");
  console.log(`${mark} ${step.title}${told === undefined ? "" : `: ${told}`} (${seconds} s)`);
  if (counts.failed > 0) console.log(output.trimEnd());
  return { ...counts, failures: counts.failures.map((name) => `${step.title}: ${name}`) };
}

function paint(text: string, color: string): string {
  if (Deno.noColor || !Deno.stdout.isTerminal()) return text;
  return `\x1b[${color === "red" ? 31 : 32}m${text}\x1b[0m`;
}

if (import.meta.main) {
  const [set = "all", ...paths] = Deno.args;
  const names = SETS[set] ?? STEP_NAMES.filter((name) => name === set);
  if (names.length === 0) {
    const known = [...Object.keys(SETS), ...STEP_NAMES].join(", ");
    console.error(`Cannot run such a step or set of steps, known are ${known}: ${set}`);
    Deno.exit(2);
  }
  const importMap = await importMapArgs();
  if (importMap.length > 0) console.log("JSR does not answer: stand-ins take the place of @std (tests/support/std)");
  const all = (await listFiles("tests")).filter((path) => path.endsWith("_test.ts"));
  const [tarball] = paths.filter(isTarball);
  const wanted = paths.filter((path) => !isTarball(path)).map((path) => resolve(path));
  const tests = wanted.length === 0
    ? all
    : all.filter((test) => wanted.some((path) => isBelow(resolve(ROOT, test), path)));
  let project: Promise<NpmProject> | undefined;
  const builder = importMap.length === 0 ? "dnt" : "pack";
  const context: Context = {
    importMap,
    tests,
    whole: set === "everywhere" || wanted.length > 0,
    project: () =>
      project ??= NpmProject.create({ tests, artefact: tarball === undefined ? { builder } : { tarball } }),
  };
  const results: Counts[] = [];
  for (const name of names) results.push(await runStep(STEPS[name], context));
  await project?.then((project) => project[Symbol.asyncDispose](), () => {});
  const total = sum(results);
  for (const skipped of total.skipped) console.log(`skipped: ${skipped}`);
  // Once more where nobody has to look for it.
  for (const failure of total.failures) console.log(`failed: ${failure}`);
  console.log(closingLine(total));
  Deno.exit(total.failed > 0 ? 1 : 0);
}

function isTarball(path: string): boolean {
  return path.endsWith(".tgz");
}

function isBelow(file: string, path: string): boolean {
  return file === path || file.startsWith(`${path.replace(/[/\\]$/, "")}/`);
}
