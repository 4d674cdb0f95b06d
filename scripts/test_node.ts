/**
 * Runs the suite on Node against the npm package, as a user has it: installed from the tarball into an empty project.
 * Tests of the public surface import the installed package; tests of single files carry the sources they test.
 *
 * @module
 */

import { build, stop } from "esbuild";
import { basename, delimiter, resolve } from "node:path";
import process from "node:process";
import config from "../deno.json" with { type: "json" };
import { findServer } from "../tests/support/redis_server.ts";
import { buildNpm } from "./build_npm.ts";
import { ROOT, run } from "./deno.ts";
import { type Counts, judge, sum } from "./junit.ts";

const MIN_NODE = 20;

/** What came of it, and what to print when it failed. */
export interface NodeRun {
  counts: Counts;
  output: string;
}

/** Whether a test file can run on Node: not those of the scripts, which run on Deno, nor those of its own transport. */
export function runsOnNode(path: string): boolean {
  return !path.startsWith("tests/scripts/") && basename(path) !== "deno_test.ts";
}

/** Builds the package, installs it, and runs the given test files and a few checks of the package itself. */
export async function testOnNode(tests: readonly string[]): Promise<NodeRun> {
  const { output: version } = await run("node", ["--version"]);
  if (Number(/^v(\d+)/.exec(version)?.[1] ?? 0) < MIN_NODE) {
    return failure(`Cannot test on Node: the PATH has ${version.trim()}, the least is ${MIN_NODE}`);
  }
  const project = await Deno.makeTempDir({ prefix: "earshot-node-" });
  try {
    const { tarball } = await buildNpm({ folder: project, builder: "pack" });
    const installed = await install(project, tarball);
    if (!installed.ok) return failure(installed.output);
    const runs = [await runSuite(project, tests), await checkTypes(project), await runCommand(project)];
    return { counts: sum(runs.map(({ counts }) => counts)), output: runs.map(({ output }) => output).join("") };
  } finally {
    await Deno.remove(project, { recursive: true });
  }
}

async function install(project: string, tarball: string): Promise<{ ok: boolean; output: string }> {
  await Deno.writeTextFile(resolve(project, "package.json"), '{ "private": true, "type": "module" }\n');
  const { imports } = config;
  const packages = [tarball, spec(imports["fast-check"])];
  if ((await findServer()).kind === "container") packages.push(spec(imports.testcontainers));
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  return await run("npm", ["install", ...flags, ...packages], { cwd: project });
}

/** Bundles each file by itself, then runs them all. */
async function runSuite(project: string, tests: readonly string[]): Promise<NodeRun> {
  try {
    await build({
      entryPoints: tests.map((path) => resolve(ROOT, path)),
      outbase: resolve(ROOT, "tests"),
      // As deep as in the sources, so that `../fixtures` is found.
      outdir: resolve(project, "tests"),
      outExtension: { ".js": ".mjs" },
      bundle: true,
      platform: "node",
      format: "esm",
      target: `node${MIN_NODE}`,
      sourcemap: "inline",
      logLevel: "silent",
      external: [config.name, `${config.name}/*`, "fast-check", "testcontainers"],
      alias: {
        "@std/assert": resolve(ROOT, "tests/support/std/assert.ts"),
        "@std/async": resolve(ROOT, "tests/support/std/async.ts"),
      },
    });
  } catch (error) {
    return failure(`Cannot bundle the tests for Node: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await stop();
  }
  await copy(resolve(ROOT, "tests/fixtures"), resolve(project, "tests/fixtures"));
  const report = resolve(project, "report.xml");
  const reporters = [
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
  ];
  const files = tests.map((path) => path.replace(/\.ts$/, ".mjs"));
  const { ok, output } = await run("node", ["--enable-source-maps", "--test", ...reporters, ...files], {
    cwd: project,
  });
  return { counts: judge(ok, await Deno.readTextFile(report).catch(() => "")), output: ok ? "" : failuresOf(output) };
}

/** A user's program in TypeScript, checked without `skipLibCheck`, so every declaration of the package is seen. */
async function checkTypes(project: string): Promise<NodeRun> {
  const program = Object.keys(config.exports).filter((name) => name !== "./cli")
    .map((name, index) => `export * as part${index} from "${config.name}${name.slice(1)}";\n`).join("");
  await Deno.writeTextFile(resolve(project, "consumer.ts"), program);
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "esnext", "--lib", "esnext,dom"];
  const compiler = Deno.execPath();
  const args = ["run", "-A", "--no-config", `${config.imports.typescript}/tsc`, ...options, "consumer.ts"];
  return verdict("The declarations of the npm package", await run(compiler, args, { cwd: project }));
}

async function runCommand(project: string): Promise<NodeRun> {
  const PATH = `${resolve(project, "node_modules/.bin")}${delimiter}${process.env.PATH ?? ""}`;
  return verdict("The command of the npm package", await run("earshot", ["demo"], { cwd: project, env: { PATH } }));
}

function verdict(what: string, { ok, output }: { ok: boolean; output: string }): NodeRun {
  return ok ? { counts: { passed: 1, failed: 0, skipped: [] }, output: "" } : failure(`${what} failed:\n${output}`);
}

function failure(output: string): NodeRun {
  return { counts: { passed: 0, failed: 1, skipped: [] }, output: `${output}\n` };
}

/** The end of what Node's `spec` reporter prints, where it repeats the failed tests. */
function failuresOf(output: string): string {
  const start = output.indexOf("failing tests:");
  return start === -1 ? output : output.slice(start);
}

function spec(specifier: string): string {
  return specifier.replace(/^npm:/, "");
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(resolve(from, name), resolve(to, name));
    else await Deno.copyFile(resolve(from, name), resolve(to, name));
  }
}
