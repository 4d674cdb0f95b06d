/**
 * Checks of the npm package itself: that tools find no fault with it, that its declarations compile for every kind of
 * user, and that its command runs.
 *
 * @module
 */

import { delimiter, resolve } from "node:path";
import process from "node:process";
import config from "../deno.json" with { type: "json" };
import { deno, type Ended, npmInstall, ROOT, run } from "./deno.ts";
import { type Counts, one, sum } from "./junit.ts";
import type { NpmProject } from "./npm_project.ts";

/** What came of it, and what to print when it failed. */
export interface PackageRun {
  counts: Counts;
  output: string;
}

/** How a user compiles. */
export interface Consumer {
  module: "node16" | "nodenext" | "esnext";
  moduleResolution: "node16" | "nodenext" | "bundler";
  lib: readonly string[];
  /** The version of `@types/node`, where there is one. */
  node: string | undefined;
}

const COMPILERS = [config.imports.typescript, "npm:typescript@latest"];

/** The program that is compiled. */
const PROGRAM = "tests/fixtures/consumer.ts";

/** Every kind of user: each way to find modules, with a browser's declarations, with those of Node, and with both. */
export function consumers(): Consumer[] {
  const ways = [["node16", "node16"], ["nodenext", "nodenext"], ["esnext", "bundler"]] as const;
  const worlds = [
    { lib: ["esnext", "dom"], node: undefined },
    { lib: ["esnext", "dom", "dom.iterable"], node: "latest" },
    { lib: ["es2022"], node: "20" },
    { lib: ["esnext"], node: "latest" },
  ];
  return worlds.flatMap((world) => ways.map(([module, moduleResolution]) => ({ module, moduleResolution, ...world })));
}

/** Runs every check. */
export async function testPackage(project: NpmProject): Promise<PackageRun> {
  const { imports } = config;
  const runs = [
    verdict("publint", await tool([imports.publint, "run", project.tarball, "--strict"])),
    verdict("attw", await tool([imports["@arethetypeswrong/cli"], project.tarball, "--profile", "esm-only"])),
    ...await compileAll(project),
    await runCommand(project),
  ];
  return { counts: sum(runs.map(({ counts }) => counts)), output: runs.map(({ output }) => output).join("") };
}

/** Runs a program of npm, given as a specifier and arguments. */
function tool(args: readonly string[], cwd?: string): Promise<Ended> {
  return deno(["run", "-A", "--quiet", "--no-config", ...args], cwd === undefined ? {} : { cwd });
}

/** A folder for each set of declarations below the project, so that each user has its own and all have the package. */
async function compileAll({ folder }: NpmProject): Promise<PackageRun[]> {
  const runs: PackageRun[] = [];
  for (const [index, consumer] of consumers().entries()) {
    const { lib, node, ...ways } = consumer;
    const home = resolve(folder, `consumer-${index}`);
    await Deno.mkdir(home);
    await Deno.writeTextFile(resolve(home, "package.json"), '{ "private": true, "type": "module" }\n');
    if (node !== undefined) {
      const installed = await npmInstall(home, [`@types/node@${node}`]);
      if (!installed.ok) runs.push(verdict(`@types/node ${node}`, installed));
    }
    await Deno.copyFile(resolve(ROOT, PROGRAM), resolve(home, "consumer.ts"));
    const options = { ...ways, lib, types: node === undefined ? [] : ["node"], target: "es2022" };
    const compilerOptions = { ...options, noEmit: true, strict: true, skipLibCheck: false };
    const text = JSON.stringify({ compilerOptions, files: ["consumer.ts"] });
    await Deno.writeTextFile(resolve(home, "tsconfig.json"), text);
    const told = `${ways.moduleResolution}, lib ${lib}, @types/node ${node ?? "none"}`;
    runs.push(
      ...await Promise.all(COMPILERS.map(async (compiler) => {
        return verdict(`A program in TypeScript (${compiler}, ${told})`, await tool([`${compiler}/tsc`], home));
      })),
    );
  }
  return runs;
}

async function runCommand(project: NpmProject): Promise<PackageRun> {
  const PATH = `${resolve(project.folder, "node_modules/.bin")}${delimiter}${process.env.PATH ?? ""}`;
  const command = Deno.build.os === "windows" ? "earshot.cmd" : "earshot";
  return verdict("The command", await run(command, ["demo"], { cwd: project.folder, env: { PATH } }));
}

function verdict(what: string, { ok, output }: Ended): PackageRun {
  return { counts: one(ok ? "passed" : "failed", what), output: ok ? "" : `${what} failed:\n${output}` };
}
