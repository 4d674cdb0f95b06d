/**
 * How a consumer is started on each runtime. Deno runs the sources; Node gets bundles, and the peers that npm installs
 * beside them from `peers/package-lock.json`. Both get the same versions.
 *
 * @module
 */

import { build, stop } from "esbuild";
import project from "../deno.json" with { type: "json" };

/** A runtime that is here. */
export interface Runtime {
  readonly name: string;
  readonly version: string;
  /** The command that runs `consumers/NAME.ts`; its arguments follow. */
  command(consumer: string): readonly string[];
}

const BENCH = new URL("./", import.meta.url);
/** In a folder of its own, since Deno takes a `package.json` beside a script for the script's. */
const PEERS = new URL("peers/", BENCH);
const BUILD = new URL("../.tmp/bench/", BENCH);

/** The runtimes to measure on. */
export async function prepareRuntimes(
  consumers: readonly string[],
): Promise<Runtime[]> {
  await installPeers();
  await bundle(consumers);
  return [
    {
      name: "Deno",
      version: Deno.version.deno,
      command: (
        consumer,
      ) => [
        Deno.execPath(),
        "run",
        "-A",
        path(new URL(`consumers/${consumer}.ts`, BENCH)),
      ],
    },
    {
      name: "Node",
      version: (await output("node", ["--version"])).replace(/^v/, ""),
      command: (consumer) => ["node", path(new URL(`${consumer}.mjs`, BUILD))],
    },
  ];
}

/** The command that runs the firehose. */
export function firehoseCommand(): readonly string[] {
  return [Deno.execPath(), "run", "-A", path(new URL("firehose.ts", BENCH))];
}

/**
 * The exact versions of the peers.
 *
 * @throws {Error} when Deno would import another version than Node
 */
export async function peerVersions(): Promise<Record<string, string>> {
  const { dependencies } = JSON.parse(
    await Deno.readTextFile(new URL("package.json", PEERS)),
  );
  const imports: Readonly<Record<string, string>> = project.imports;
  for (const [name, version] of Object.entries(dependencies)) {
    if (imports[name] === `npm:${name}@${version}`) continue;
    throw new Error(
      `deno.json and bench/peers/package.json differ on ${name}: ${imports[name]} and ${version}`,
    );
  }
  return dependencies;
}

async function installPeers(): Promise<void> {
  const lock = await Deno.readTextFile(new URL("package-lock.json", PEERS));
  const installed = new URL("installed.json", BUILD);
  if (await Deno.readTextFile(installed).catch(() => "") === lock) return;
  await Deno.mkdir(BUILD, { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) {
    await Deno.copyFile(new URL(file, PEERS), new URL(file, BUILD));
  }
  await output(
    "npm",
    ["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    BUILD,
  );
  await Deno.writeTextFile(installed, lock);
}

async function bundle(consumers: readonly string[]): Promise<void> {
  await build({
    entryPoints: consumers.map((consumer) => path(new URL(`consumers/${consumer}.ts`, BENCH))),
    outdir: path(BUILD),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: Object.keys(await peerVersions()),
    logLevel: "warning",
  });
  await stop();
}

async function output(
  command: string,
  args: readonly string[],
  cwd?: URL,
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    ...(cwd && { cwd }),
  }).output();
  if (!success) {
    throw new Error(
      `Cannot run ${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`,
    );
  }
  return new TextDecoder().decode(stdout).trim();
}

function path(url: URL): string {
  return decodeURIComponent(url.pathname);
}
