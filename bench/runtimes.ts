/**
 * How a program is started on each runtime. Deno runs the sources; Node and Bun get bundles, and the peers that npm
 * installs beside them from `peers/package-lock.json`. All get the same versions.
 *
 * @module
 */

import { build, stop } from "esbuild";
import { fileURLToPath } from "node:url";
import project from "../deno.json" with { type: "json" };

/** How to start a program. */
export interface ProgramOptions {
  /** Gives the program `globalThis.gc`. @default {false} */
  readonly exposeGc?: boolean;
  /** A folder into which it writes a CPU profile when it ends. @default {none is made} */
  readonly profileTo?: string;
}

/** A runtime that is here. */
export interface Runtime {
  readonly name: "Deno" | "Node" | "Bun";
  readonly version: string;
  /** The command that runs `consumers/NAME.ts`; its arguments follow. */
  command(program: string, options?: ProgramOptions): readonly string[];
}

/** Where to tell about a runtime that is not here. */
export type Missing = (what: string) => void;

const BENCH = new URL("./", import.meta.url);
/** In a folder of its own, since Deno takes a `package.json` beside a script for the script's. */
const PEERS = new URL("peers/", BENCH);

/** What Deno never runs, and therefore does not import. */
const ELSEWHERE = ["@valkey/valkey-glide"];

/** What is built for the bench lies here: bundles, their packages, and programs in C. */
export const BUILD = new URL("../.tmp/bench/", BENCH);

/** The runtimes to measure on, ready to run `programs`. */
export async function prepareRuntimes(programs: readonly string[], missing: Missing): Promise<Runtime[]> {
  await installPeers();
  await bundle(programs);
  return [deno(), ...await node(missing), ...await bun(missing)];
}

function deno(): Runtime {
  return {
    name: "Deno",
    version: Deno.version.deno,
    command: (program, { exposeGc = false, profileTo } = {}) => [
      Deno.execPath(),
      "run",
      "-A",
      "--no-check",
      ...(exposeGc ? ["--v8-flags=--expose-gc"] : []),
      ...profiler(profileTo),
      fileURLToPath(new URL(`consumers/${program}.ts`, BENCH)),
    ],
  };
}

async function node(missing: Missing): Promise<Runtime[]> {
  const version = await output("node", ["--version"]).catch(() => undefined);
  if (version !== undefined) return [bundled("Node", "node", version.replace(/^v/, ""))];
  missing("Node: there is no `node` on the PATH");
  return [];
}

async function bun(missing: Missing): Promise<Runtime[]> {
  const tell = ["--print", "process.execPath"];
  // What npx starts is a script around the program: its own start is not what we want to measure.
  const path = await output("bun", tell).catch(() => output("npx", ["-y", "bun", ...tell])).catch(() => undefined);
  if (path !== undefined) return [bundled("Bun", path, await output(path, ["--version"]))];
  missing("Bun: there is no `bun` on the PATH, and npx cannot fetch one");
  return [];
}

function bundled(name: "Node" | "Bun", program: string, version: string): Runtime {
  return {
    name,
    version,
    command: (consumer, { exposeGc = false, profileTo } = {}) => [
      program,
      ...(exposeGc ? ["--expose-gc"] : []),
      ...profiler(profileTo),
      fileURLToPath(new URL(`${consumer}.mjs`, BUILD)),
    ],
  };
}

function profiler(folder: string | undefined): readonly string[] {
  return folder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${folder}`];
}

/**
 * The exact versions of the peers, by the names that programs import.
 *
 * @throws {Error} when Deno would import another version than Node
 */
export async function peerVersions(): Promise<Record<string, string>> {
  const { dependencies } = JSON.parse(await Deno.readTextFile(new URL("package.json", PEERS)));
  const imports: Readonly<Record<string, string>> = project.imports;
  for (const [name, version] of Object.entries<string>(dependencies)) {
    // `npm:ioredis@6.0.0` is the same version under another name.
    const wanted = version.startsWith("npm:") ? version : `npm:${name}@${version}`;
    if (imports[name] === wanted || ELSEWHERE.includes(name)) continue;
    throw new Error(`deno.json and bench/peers/package.json differ on ${name}: ${imports[name]} and ${wanted}`);
  }
  return Object.fromEntries(
    Object.entries<string>(dependencies).map(([name, version]) => [name, version.replace(/^.*@/, "")]),
  );
}

async function installPeers(): Promise<void> {
  const lock = await Deno.readTextFile(new URL("package-lock.json", PEERS));
  const installed = new URL("installed.json", BUILD);
  if (await Deno.readTextFile(installed).catch(() => "") === lock) return;
  await Deno.mkdir(BUILD, { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) {
    await Deno.copyFile(new URL(file, PEERS), new URL(file, BUILD));
  }
  await output("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], BUILD);
  await Deno.writeTextFile(installed, lock);
}

async function bundle(programs: readonly string[]): Promise<void> {
  const external = Object.keys(await peerVersions());
  if (programs.length === 0) return;
  await build({
    entryPoints: programs.map((program) => fileURLToPath(new URL(`consumers/${program}.ts`, BENCH))),
    outdir: fileURLToPath(BUILD),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external,
    logLevel: "warning",
  });
  await stop();
}

/** What a command prints, trimmed; throws when it cannot be run or fails. */
export async function output(command: string, args: readonly string[], cwd?: URL): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], ...(cwd && { cwd }) })
    .output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout).trim();
}
