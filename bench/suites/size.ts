/**
 * How large the library is in a bundle, beside other clients, all by the same call of esbuild.
 *
 * @module
 */

import { build, type Plugin, stop } from "esbuild";
import { Buffer } from "node:buffer";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { BUILD } from "../runtimes.ts";
import { table, whole } from "../spread.ts";
import type { Suite } from "../suite.ts";
import { judge, type Verdict } from "../verdict.ts";
import { wordless } from "../wordless.ts";

/** One bundle. */
interface Bundle {
  readonly label: string;
  /** Minified, in bytes. */
  readonly bytes: number;
  /** That, as gzip makes it with its best level. */
  readonly gzipped: number;
  /** The same without a word in it: nobody could write it shorter by wording or naming. */
  readonly wordless?: number;
}

/** Everything that was measured. */
export interface SizeOutcome {
  readonly ours: readonly Bundle[];
  readonly peers: readonly Bundle[];
  /** What a room comes to with everything below it. */
  readonly layers: readonly Bundle[];
  /** Of the whole of `.`: what each room takes of it, minified. */
  readonly rooms: readonly { readonly room: string; readonly bytes: number }[];
}

interface Built {
  readonly code: string;
  /** Files that are imported when they are needed, by the paths that the sources give them. */
  readonly leaves: readonly string[];
  readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>>;
}

/** From below. Each is what the next ones cannot do without. */
const LAYERS: readonly (readonly [label: string, file: string])[] = [
  ["the parser", "resp/reader"],
  ["a connection's brain: parser, fast path, handshake, subscriptions, keep-alive", "protocol/session"],
  ["a connection: that, and its loops and timers", "connection/connection"],
  ["what keeps it alive: that, and reconnecting, moves, gaps told", "supervisor/supervisor"],
  ["`PubSub`: that, and queues, streams, backfill", "client/pubsub"],
  ["`Client`, every runtime", "client/client"],
];

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const ALL = 'export * from "./mod.ts";';
/** What a program imports that subscribes: the rest of `.` may be shaken off. */
const CLIENT = 'export { Client } from "./mod.ts";';

/** By npm name, of `peers/package.json` or what that brings along, and what a program imports of it. */
const PEERS: readonly (readonly [name: string, code: string])[] = [
  ["@redis/client", 'export { createClient } from "@redis/client";'],
  ["redis", 'export { createClient } from "redis";'],
  ["ioredis", 'export { Redis } from "ioredis";'],
  ["iovalkey", 'export { Redis } from "iovalkey";'],
];

/** The suite. */
export const suite: Suite<SizeOutcome> = {
  name: "size",
  title: "Size of a bundle",
  programs: [],
  run: measure,
  render,
  verdicts,
};

async function measure(): Promise<SizeOutcome> {
  try {
    const whole = await bundle(ALL, ROOT);
    const { leaves } = whole;
    const ours = [await bare("`.`, all of it, every runtime", whole)];
    for (const leaf of leaves) {
      ours.push(await bare(`\`Client\` for ${runtimeOf(leaf)} alone`, await bundle(CLIENT, ROOT, only(leaf))));
    }
    ours.push(named("`Client`, no runtime", await bundle(CLIENT, ROOT, only(undefined))));
    ours.push(named("`./testing`", await bundle('export * from "./src/testing/mod.ts";', ROOT)));
    const peers: Bundle[] = [];
    for (const [name, code] of PEERS) peers.push(named(`\`${name}\``, await bundle(code, fileURLToPath(BUILD))));
    const layers: Bundle[] = [];
    for (const [label, file] of LAYERS) {
      layers.push(named(label, await bundle(`export * from "./src/${file}.ts";`, ROOT)));
    }
    return { ours, peers, layers, rooms: rooms(whole) };
  } finally {
    await stop();
  }
}

async function bundle(contents: string, resolveDir: string, plugin?: Plugin): Promise<Built> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir, loader: "ts" },
    absWorkingDir: resolveDir,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "node",
    target: "esnext",
    legalComments: "none",
    logLevel: "warning",
    write: false,
    metafile: true,
    plugins: plugin === undefined ? [] : [plugin],
  });
  const imports = Object.values(metafile.inputs).flatMap(({ imports }) => imports);
  const [output] = Object.values(metafile.outputs);
  return {
    code: outputFiles[0]!.text,
    leaves: imports.filter(({ kind, external }) => kind === "dynamic-import" && !external).map(({ original }) =>
      original ?? ""
    ),
    inputs: output!.inputs,
  };
}

/** Leaves every dynamic import out of the bundle but one. */
function only(leaf: string | undefined): Plugin {
  return {
    name: "one leaf",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ kind, path }) => {
        return kind === "dynamic-import" && path !== leaf ? { path, external: true } : undefined;
      });
    },
  };
}

function runtimeOf(leaf: string): string {
  const name = basename(leaf, ".ts");
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function named(label: string, { code }: Pick<Built, "code">): Bundle {
  return { label, bytes: Buffer.byteLength(code), gzipped: gzipSync(code, { level: 9 }).length };
}

async function bare(label: string, built: Built): Promise<Bundle> {
  const { gzipped } = named(label, { code: await wordless(built.code) });
  return { ...named(label, built), wordless: gzipped };
}

function rooms({ inputs }: Built): SizeOutcome["rooms"] {
  const sums = new Map<string, number>();
  for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
    const room = /^src\/(\w+)\//.exec(file)?.[1] ?? "layer 0";
    sums.set(room, (sums.get(room) ?? 0) + bytesInOutput);
  }
  return [...sums].map(([room, bytes]) => ({ room, bytes })).sort((a, b) => b.bytes - a.bytes);
}

function render({ ours, peers, layers, rooms }: SizeOutcome): string {
  const row = ({ label, bytes, gzipped }: Bundle) => [label, whole(bytes), whole(gzipped)];
  const shortest = ({ wordless }: Bundle) => wordless === undefined ? "" : whole(wordless);
  const total = rooms.reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    "One file, minified by esbuild (`format: esm`, `target: esnext`, the built-in modules of Node left out), and that as " +
    "`gzip -9` makes it. A runtime alone: what `import { Client }` reaches, where the leaves of the other runtimes, which " +
    "are imported when they are needed, are left out. The peers are what `import { createClient }` or " +
    "`import { Redis }` reaches. Without a word: a digit in the place of every string and pattern, and a letter or two " +
    "for every property. That runs no more; it is the least that any wording could come to.",
    table([
      ["bytes", "minified", "gzipped", "the same without a word"],
      ...[...ours, ...peers].map((bundle) => [...row(bundle), shortest(bundle)]),
    ]),
    "What each layer comes to with everything that it imports.",
    table([["bytes", "minified", "gzipped"], ...layers.map(row)]),
    "Where the bytes of `.` are, before gzip.",
    table([
      ["room", "minified", "share"],
      ...rooms.map(({ room, bytes }) => [room, whole(bytes), `${Math.round(100 * bytes / total)} %`]),
    ]),
  ].join("\n\n");
}

/** Bytes: all of it, and what one runtime takes. */
const MOST_ALL = 12_500;
const MOST_ALONE = 10_000;

function verdicts({ ours }: SizeOutcome): Verdict[] {
  return ours.flatMap(({ label, gzipped, wordless }) => {
    const aim = (what: string, limit: number) => ({ what, limit, is: "at most" as const, format: whole });
    const alone = /^`Client` for (\w+) alone$/.exec(label)?.[1];
    if (alone !== undefined) {
      return judge(aim("bytes of `Client` for one runtime, gzipped", MOST_ALONE), alone, [gzipped], [wordless]);
    }
    if (!label.startsWith("`.`")) return [];
    return ["Deno", "Node", "Bun"].flatMap((runtime) =>
      judge(aim("bytes of `.`, gzipped", MOST_ALL), runtime, [gzipped], [wordless])
    );
  });
}
