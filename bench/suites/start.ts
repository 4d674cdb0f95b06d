/**
 * Cold start: from nothing to the first message. Every start is a process of its own; a watcher publishes a message as
 * soon as the server has the subscription.
 *
 * @module
 */

import { build, stop } from "esbuild";
import { fileURLToPath, pathToFileURL } from "node:url";
import { encodeCommand } from "../../src/resp/writer.ts";
import type { Started } from "../consumers/start.ts";
import { Lines } from "../process.ts";
import { BUILD, type Runtime } from "../runtimes.ts";
import { startRedis } from "../server.ts";
import { best, decimals, each, ratios, show, spread, table, times } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { judge, type Verdict } from "../verdict.ts";

/** In a round every client starts so often; the round is the median. */
const STARTS = 3;
const QUICK_STARTS = 2;
const GRACE_MS = 20_000;

interface Client {
  readonly label: string;
  /** In `consumers/`. */
  readonly program: string;
  readonly role: "ours" | "peer" | "raw" | "floor";
  /** Left out of a quick look. */
  readonly slow?: boolean;
}

const CLIENTS: readonly Client[] = [
  { label: "Earshot", program: "start_earshot", role: "ours" },
  { label: "node-redis", program: "start_node_redis", role: "peer" },
  { label: "ioredis 5", program: "start_ioredis", role: "peer" },
  { label: "iovalkey", program: "start_iovalkey", role: "peer", slow: true },
];
const BUN_CLIENT: Client = { label: "Bun's own client", program: "start_bun", role: "peer" };
const RAW: Client = { label: "raw socket", program: "start_raw", role: "raw" };
/** Bun's own sockets come with no dial that can be given up: a client that must never hang has those of Node. */
const BUN_FLOOR: Client = { label: "floor, `node:net`", program: "start_net", role: "floor" };
const LAUNCHER = "start";
const ONE_FILE = "one file";

const BUNDLES = new URL("start/", BUILD);

/** One way to start one client. */
interface Way extends Pick<Client, "label" | "role"> {
  readonly runtime: string;
  /** How the program is laid out on the disk. */
  readonly form: string;
  readonly command: readonly string[];
}

/** Milliseconds. */
interface Measurement {
  /** From before the process was started. */
  readonly wholeMs: number;
  /** From the first line of the program. */
  readonly programMs: number;
}

/** The rounds of one way: medians. */
interface Series extends Omit<Way, "command"> {
  readonly rounds: (Measurement | null)[];
}

/** Everything that was measured. */
export interface StartOutcome {
  readonly series: readonly Series[];
}

/** The suite. */
export const suite: Suite<StartOutcome> = {
  name: "start",
  title: "Cold start",
  programs: [LAUNCHER, ...[...CLIENTS, BUN_CLIENT, BUN_FLOOR, RAW].map(({ program }) => program)],
  run: measure,
  render,
  verdicts,
};

async function measure(ground: Ground): Promise<StartOutcome> {
  const { plan, runtimes } = ground;
  await using server = await startRedis(ground);
  if (server === undefined) return { series: [] };
  await bundle();
  using watcher = await Watcher.open(server.port);
  const all = runtimes.flatMap((runtime) => ways(runtime, plan.quick)).map(({ command, ...way }) => {
    const series: Series = { ...way, rounds: [] };
    return { series, start: () => startOnce([...command, String(server.port)], watcher) };
  });
  // The first start of all fills the caches of the disk and of the runtime; whoever fails does so again below.
  for (const { start } of all) await start().catch(() => {});
  await takeTurns(
    ground,
    all.map(({ series: { runtime, label, form, role, rounds }, start }): Turn<Measurement> => ({
      name: `${runtime}: ${label}, ${form}`,
      isOurs: role === "ours",
      rounds,
      measure: () => startSome(start, plan.quick ? QUICK_STARTS : STARTS),
    })),
  );
  return { series: all.map(({ series }) => series) };
}

async function startSome(start: () => Promise<Measurement>, times: number): Promise<Measurement> {
  const starts: Measurement[] = [];
  for (let i = 0; i < times; i++) starts.push(await start());
  return median(starts);
}

/** Every client as one file, with all that it needs. */
async function bundle(): Promise<void> {
  await build({
    entryPoints: suite.programs.map((program) => path(new URL(`../consumers/${program}.ts`, import.meta.url))),
    outdir: path(BUNDLES),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    // The peers are CommonJS, whose `require` an ES module does not have.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    nodePaths: [path(new URL("node_modules", BUILD))],
    logLevel: "error",
  });
  await stop();
}

function ways(runtime: Runtime, quick: boolean): Way[] {
  const clients = [...CLIENTS, ...runtime.name === "Bun" ? [BUN_CLIENT, BUN_FLOOR] : [], RAW];
  return clients.filter(({ slow }) => !(quick && slow)).flatMap(({ label, role, program }) => {
    const bundled = new URL(`${program}.mjs`, BUNDLES);
    const [whole, apart] = runtime.name === "Deno"
      ? [
        [Deno.execPath(), "run", "-A", "--no-config", path(new URL(`${LAUNCHER}.mjs`, BUNDLES))],
        runtime.command(program).at(-1)!,
      ]
      : [[...runtime.command(LAUNCHER)], runtime.command(program).at(-1)!];
    const way = { label, role, runtime: runtime.name };
    const one: Way = { ...way, form: ONE_FILE, command: [...whole, bundled.href] };
    const other = (form: string): Way => ({
      ...way,
      form,
      command: [...runtime.command(LAUNCHER), pathToFileURL(apart).href],
    });
    if (role === "ours" && runtime.name === "Deno") return [one, other("sources")];
    if (role !== "peer" || program === BUN_CLIENT.program) return [one];
    return [one, other(runtime.name === "Deno" ? "`npm:`" : "`node_modules`")];
  });
}

async function startOnce(command: readonly string[], watcher: Watcher): Promise<Measurement> {
  const { channel, published } = watcher.expect();
  const from = performance.now();
  await using program = new Lines([...command, channel]);
  const { ms, payload }: Started = JSON.parse(await program.next(GRACE_MS));
  const wholeMs = performance.now() - from;
  await published;
  if (payload !== channel) throw new Error(`Another message arrived than was published: ${payload}`);
  return { wholeMs, programMs: ms };
}

/** Sees every command that the server gets, and publishes to a channel when somebody has subscribed to it. */
class Watcher implements Disposable {
  readonly #monitor: Deno.TcpConn;
  readonly #publisher: Deno.TcpConn;
  #starts = 0;
  #channel = "";
  #done: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;

  private constructor(monitor: Deno.TcpConn, publisher: Deno.TcpConn) {
    this.#monitor = monitor;
    this.#publisher = publisher;
  }

  static async open(port: number): Promise<Watcher> {
    const [monitor, publisher] = [await dial(port), await dial(port)];
    const watcher = new Watcher(monitor, publisher);
    await monitor.write(encodeCommand(["MONITOR"]));
    void watcher.#watch();
    return watcher;
  }

  /** A channel that nobody has had before; its one message is its own name. */
  expect(): { readonly channel: string; readonly published: Promise<void> } {
    const channel = this.#channel = `start-${++this.#starts}`;
    const published = new Promise<void>((resolve, reject) => this.#done = { resolve, reject });
    // Whoever starts the program may fail first.
    published.catch(() => {});
    return { channel, published };
  }

  [Symbol.dispose](): void {
    this.#monitor.close();
    this.#publisher.close();
  }

  async #watch(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    let rest = "";
    try {
      for (let count; (count = await this.#monitor.read(buffer)) !== null;) {
        const lines = (rest + new TextDecoder().decode(buffer.subarray(0, count))).split("\r\n");
        rest = lines.pop() ?? "";
        const seen = lines.some((line) => line.toLowerCase().endsWith(` "subscribe" "${this.#channel}"`));
        if (seen) await this.#publish();
      }
    } catch (error) {
      this.#done?.reject(error);
    }
  }

  async #publish(): Promise<void> {
    await this.#publisher.write(encodeCommand(["PUBLISH", this.#channel, this.#channel]));
    const answer = new Uint8Array(16);
    const count = await this.#publisher.read(answer) ?? 0;
    const text = new TextDecoder().decode(answer.subarray(0, count));
    if (text === ":1\r\n") this.#done?.resolve();
    else this.#done?.reject(new Error(`The message did not go to one receiver: ${text.trim()}`));
  }
}

async function dial(port: number): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  return conn;
}

function median(starts: readonly Measurement[]): Measurement {
  return {
    wholeMs: spread(starts.map(({ wholeMs }) => wholeMs)).median,
    programMs: spread(starts.map(({ programMs }) => programMs)).median,
  };
}

function path(url: URL): string {
  return fileURLToPath(url);
}

function render({ series }: StartOutcome): string {
  if (series.length === 0) return "Nothing was measured.";
  return [
    "Milliseconds to the first message: from the first line of a program that imports the client, subscribes and waits, " +
    "and from before its process was started. The message is published as soon as the server has the subscription. Every " +
    "client starts as one file, made by esbuild, and the peers also as they are installed: from `node_modules`, or by " +
    "`npm:` on Deno, where Earshot starts from its sources, too. The fastest peer is so in either form. Bun's own " +
    "client is a part of the runtime: there the floor is a socket of `node:net`, which has to be loaded.",
    table([
      ["client", "from its first line", "of the fastest peer's", "the whole process", "of the fastest peer's"],
      ...series.map((one) => [
        `${one.runtime}: ${one.label}, ${one.form}`,
        ...columns(series, one, ({ programMs }) => programMs),
        ...columns(series, one, ({ wholeMs }) => wholeMs),
      ]),
    ]),
  ].join("\n\n");
}

function columns(all: readonly Series[], one: Series, of: (measurement: Measurement) => number): string[] {
  return [
    show(each(one.rounds, of), decimals(1)),
    one.role === "ours" ? show(toBest(all, one, of), times) : "",
  ];
}

/** Over that of the fastest peer of the same runtime. */
function toBest(all: readonly Series[], one: Series, of: (measurement: Measurement) => number): number[] {
  const peers = all.filter(({ role, runtime }) => role === "peer" && runtime === one.runtime);
  return ratios(each(one.rounds, of), best(peers.map(({ rounds }) => each(rounds, of)), "least"));
}

function verdicts({ series }: StartOutcome): Verdict[] {
  return series.filter(({ role, form }) => role === "ours" && form === ONE_FILE).flatMap((one) => {
    const what = "from the first line of the program to the first message, to the fastest peer's";
    const toPeers = (which: Series) => toBest(series, which, ({ programMs }) => programMs);
    const floor = series.find(({ role, runtime }) => role === "floor" && runtime === one.runtime);
    return judge({ what, limit: 1, is: "at most", format: times }, one.runtime, toPeers(one), floor && toPeers(floor));
  });
}
