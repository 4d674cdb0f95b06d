/**
 * A real Redis: what a subscriber costs when Redis gives all that it can, and when it gives a message at a time. Redis
 * is what limits the messages a second, whoever reads: here speed shows as processor time.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Outcome, Task } from "../consumers/tally.ts";
import { type Cell, cycle, frameBytes } from "../frames.ts";
import { anywhere, cores, type Keep } from "../cores.ts";
import { buildNative, hiredisVersion } from "../native.ts";
import { Lines } from "../process.ts";
import * as runs from "../run.ts";
import { BUILD } from "../runtimes.ts";
import { type BenchServer, startRedis } from "../server.ts";
import { best, decimals, each, ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { type Aim, judge, type Verdict } from "../verdict.ts";

/** Messages a second of the paced part: far enough apart for a wake-up each. */
const RATE = 10_000;
/**
 * Before that come as many messages as can be, and then many at that rate, so that what runs is compiled; how long each, in
 * milliseconds. On Bun, whose compiler takes its time beside the program, a shorter burst doubles what every client seems
 * to cost.
 */
const BURST_MS = 750;
const BUN_BURST_MS = 1_000;
const WARM_MS = 1_500;
/** With 1 KiB a message cost Earshot 1.57 µs there after 0.3 s, and 1.11 after 2 s; Bun's own client is compiled already. */
const BUN_SATURATED_WARM_MS = 1_500;
const QUICK_WARM_MS = 200;
/** Paced messages come one by one: it takes this many times as long to see enough of them. */
const PACED_FACTOR = 2;
/** Their end, and a pause, are waited for. */
const WARM_END_MS = 150;
/** More messages than any run takes. */
const ENDLESS = 1e9;
const STRIDE = 1024;
const PACED_STRIDE = 256;
const GRACE_MS = 20_000;
/** By default Redis cuts off a subscriber that is 32 MB behind: then a slow one could not be measured. */
const PATIENCE = ["--client-output-buffer-limit", "pubsub", "1gb", "0", "0"];

type Part = "saturated" | "paced";

interface Setting {
  readonly part: Part;
  readonly cell: Cell;
}

const SETTINGS: readonly Setting[] = [
  { part: "saturated", cell: { payloadBytes: 16, channels: 1 } },
  { part: "saturated", cell: { payloadBytes: 1_024, channels: 1 } },
  { part: "paced", cell: { payloadBytes: 16, channels: 1 } },
];

interface Client {
  readonly label: string;
  /** In `consumers/`, or in `native/`. */
  readonly program: string;
  readonly role: "ours" | "peer" | "raw" | "floor";
  /** Left out of a quick look. */
  readonly slow?: boolean;
  /** Takes part in this alone. */
  readonly only?: Part;
}

const CLIENTS: readonly Client[] = [
  { label: "Earshot, `for await`", program: "earshot", role: "ours" },
  // With a message at a time, both of ours are the same.
  { label: "Earshot, `batches()`", program: "earshot_batches", role: "ours", slow: true, only: "saturated" },
  { label: "node-redis, callback", program: "node_redis", role: "peer" },
  { label: "ioredis 5, callback", program: "ioredis", role: "peer" },
  { label: "iovalkey, callback", program: "iovalkey", role: "peer", slow: true },
  { label: "raw socket", program: "drain", role: "raw" },
  { label: "floor, `for await`", program: "floor", role: "floor", slow: true, only: "saturated" },
  { label: "floor, `for await`", program: "floor_paced", role: "floor", slow: true, only: "paced" },
];

const BUN_CLIENTS: readonly Client[] = [
  { label: "Bun's own client, callback", program: "bun_redis", role: "peer" },
  { label: "raw socket, `Bun.connect`", program: "drain_bun", role: "raw" },
];

const C_CLIENTS: readonly Client[] = [
  { label: "hiredis, synchronous", program: "hiredis_sync", role: "peer" },
  { label: "raw socket", program: "drain", role: "raw" },
];

/** Who reads, and how to start it. */
interface Reader extends Client, runs.Reader {
  readonly runtime: string;
}

/** What a run measured. */
interface Measurement extends runs.Measurement {
  /** How much of one core Redis used meanwhile. */
  readonly serverCores: number;
}

/** The runs of one subscriber in one setting; null where it failed, or Redis cut it off because it read too slowly. */
interface Series extends Setting, Pick<Client, "label" | "role"> {
  readonly runtime: string;
  readonly rounds: (Measurement | null)[];
}

/** Everything that was measured. */
export interface RedisOutcome {
  readonly series: readonly Series[];
}

/** The suite. */
export const suite: Suite<RedisOutcome> = {
  name: "redis",
  title: "CPU of a subscriber to a real Redis",
  programs: [...CLIENTS, ...BUN_CLIENTS].map(({ program }) => program),
  run: measure,
  render,
  verdicts,
};

async function measure(ground: Ground): Promise<RedisOutcome> {
  // Each part has its own, since only that of the paced one is kept on a core.
  await using saturated = await startRedis(ground, PATIENCE);
  await using paced = await startRedis(ground, PATIENCE);
  if (saturated === undefined || paced === undefined) return { series: [] };
  const keep = await cores(ground);
  await keep(paced.pid, "server and client");
  const all = await prepareRuns(ground, {
    saturated: { server: saturated, keep: anywhere },
    paced: { server: paced, keep },
  });
  await takeTurns(
    ground,
    all.map(({ series, run }): Turn<Measurement> => ({
      name: `${name(series)}, ${series.part}`,
      isOurs: series.role === "ours",
      rounds: series.rounds,
      measure: () => runOnce(run),
    })),
  );
  return { series: all.map(({ series }) => series) };
}

async function prepareRuns(
  ground: Ground,
  places: Readonly<Record<Part, Pick<Run, "server" | "keep">>>,
): Promise<{ readonly series: Series; readonly run: Run }[]> {
  const { quick } = ground.plan;
  const readers = await prepareReaders(ground);
  const publisherOf = await preparePublishers(ground);
  const settings = SETTINGS.filter(({ cell }) => !quick || cell.payloadBytes === 16);
  const all = settings.map(async (setting) => {
    const { part, cell } = setting;
    // A quick look has no time for the peers with a message at a time.
    const some = readers.filter(({ only, role }) =>
      (only ?? part) === part && !(part === "paced" && quick && role === "peer")
    );
    return (await Promise.all(some.map(async (reader) => {
      const { runtime, label, role } = reader;
      const publisher = await publisherOf(setting, places[part].server.port, runtime);
      if (publisher === undefined) return [];
      const series: Series = { part, cell, runtime, label, role, rounds: [] };
      return [{ series, run: { ...places[part], reader, publisher, cell, ...durations(setting, ground, runtime) } }];
    }))).flat();
  });
  return (await Promise.all(all)).flat();
}

async function prepareReaders({ plan, runtimes, missing, version }: Ground): Promise<Reader[]> {
  const readers: Reader[] = runtimes.flatMap((runtime) =>
    [...CLIENTS, ...(runtime.name === "Bun" ? BUN_CLIENTS : [])].map((client) => ({
      ...client,
      runtime: runtime.name,
      command: runtime.command(client.program),
      native: false,
      raw: client.role === "raw",
    }))
  );
  for (const client of C_CLIENTS) {
    const hiredis = client.program === "hiredis_sync";
    const native = await buildNative(client.program, { hiredis });
    if ("missing" in native) missing(`${client.label}, in C: ${native.missing}`);
    else {
      readers.push({ ...client, runtime: "C", command: native.command, native: true, raw: client.role === "raw" });
    }
  }
  version("hiredis", await hiredisVersion() ?? "not here");
  return readers.filter(({ slow }) => !(plan.quick && slow));
}

/** Gives the command that publishes in a setting; undefined when this machine lacks what it takes. */
async function preparePublishers(
  ground: Ground,
): Promise<(setting: Setting, port: number, runtime: string) => Promise<readonly string[] | undefined>> {
  const pacer = await buildNative("pacer");
  if ("missing" in pacer) ground.missing(`The paced part, whose publisher is in C: ${pacer.missing}`);
  return async ({ part, cell }, port, runtime) => {
    // A message is pushed as `message`, and published as `PUBLISH`, which is just as long.
    const commands = new TextDecoder().decode(cycle(cell, 2)).replaceAll("$7\r\nmessage\r\n", "$7\r\nPUBLISH\r\n");
    const file = fileURLToPath(new URL(`publish-${cell.payloadBytes}`, BUILD));
    await Deno.writeTextFile(file, commands);
    const length = frameBytes(cell);
    if (part === "saturated") {
      const script = fileURLToPath(new URL("../consumers/redis_publisher.ts", import.meta.url));
      return [Deno.execPath(), "run", "-A", "--no-check", script, String(port), file, String(length)];
    }
    if ("missing" in pacer) return undefined;
    const [burstMs, warmMs] = warmUp(ground, runtime);
    return [...pacer.command, ...[port, burstMs, "cycle", file, length, `${RATE}:${warmMs}:${ENDLESS}`].map(String)];
  };
}

/** How long the burst takes, and how long the messages at that rate that are not measured, in milliseconds. */
function warmUp({ plan }: Ground, runtime: string): readonly [burstMs: number, warmMs: number] {
  return plan.quick ? [QUICK_WARM_MS, QUICK_WARM_MS] : [runtime === "Bun" ? BUN_BURST_MS : BURST_MS, WARM_MS];
}

function durations(
  { part }: Setting,
  ground: Ground,
  runtime: string,
): Pick<Task, "stride" | "warmUpMs" | "measureMs"> {
  const { warmUpMs, measureMs, quick } = ground.plan;
  if (part === "saturated") {
    const isSlow = runtime === "Bun" && !quick;
    return { stride: STRIDE, warmUpMs: isSlow ? BUN_SATURATED_WARM_MS : warmUpMs, measureMs };
  }
  const [burstMs, warmMs] = warmUp(ground, runtime);
  return {
    stride: PACED_STRIDE,
    warmUpMs: burstMs + warmMs + WARM_END_MS,
    measureMs: PACED_FACTOR * measureMs,
  };
}

interface Run extends Pick<Task, "stride" | "warmUpMs" | "measureMs"> {
  readonly server: BenchServer;
  readonly keep: Keep;
  readonly reader: Reader;
  readonly publisher: readonly string[];
  readonly cell: Cell;
}

/**
 * One subscriber and one publisher.
 *
 * @throws {Error} when anything but what was published arrived, or Redis cut off a subscriber that read too slowly
 */
async function runOnce(run: Run): Promise<Measurement> {
  const { server, cell, stride, warmUpMs, measureMs } = run;
  const task: Task = { port: server.port, channels: cell.channels, payload: "text", stride, warmUpMs, measureMs };
  await using reader = new Lines([...run.reader.command, ...runs.words(run.reader, task)]);
  await using publisher = new Lines(run.publisher);
  for (const process of [reader, publisher]) {
    const answer = await process.next(GRACE_MS);
    if (answer !== "ready") throw new Error(`A program is not ready: ${answer}`);
  }
  await run.keep(reader.pid, "server and client");
  await run.keep(publisher.pid, "load");
  const dropped = await server.dropped();
  const [from, cpuFrom] = [performance.now(), await server.cpuSeconds()];
  await publisher.say("go");
  // The publisher speaks only when a message went astray; when the subscriber ended in that, its own words come first.
  const told = reader.next(warmUpMs + measureMs + GRACE_MS);
  const astray = publisher.next(warmUpMs + measureMs + GRACE_MS).catch(() => undefined);
  const line = await Promise.race([told, astray.then(() => undefined)]).catch(() => undefined);
  const cores = (await server.cpuSeconds() - cpuFrom) / (performance.now() - from) * 1e3;
  if (await server.dropped() > dropped) {
    told.catch(() => {});
    throw new Error("Redis cut off a subscriber that read too slowly");
  }
  const outcome: Outcome = JSON.parse(line ?? await told);
  return { ...runs.measured(run, outcome), serverCores: cores };
}

function render({ series }: RedisOutcome): string {
  if (series.length === 0) return "Nothing was measured.";
  const saturated = SETTINGS.filter(({ part }) => part === "saturated").flatMap(({ cell }) => {
    const of = series.filter((one) => one.part === "saturated" && one.cell.payloadBytes === cell.payloadBytes);
    return of.length === 0 ? [] : [
      `Redis gives all that it can: PUBLISH of ${cell.payloadBytes} bytes, pipelined over one raw socket. What a ` +
      "subscriber costs, and how busy Redis itself is, which is what limits the messages a second. The floor is that of " +
      "the throughput.",
      saturatedTable(of),
    ];
  });
  const paced = series.filter(({ part }) => part === "paced");
  return [
    ...saturated,
    ...paced.length === 0 ? [] : [
      `${
        whole(RATE)
      } messages a second at an even pace, 16 bytes each: the subscriber wakes up for every one, and most ` +
      "of what it costs is the kernel's and the runtime's. The floor is one of its own: it knows the channel, and does " +
      "what no client can leave out for a message that comes by itself.",
      pacedTable(paced),
    ],
  ].join("\n\n");
}

const HEAD = ["subscriber", "CPU, µs a message"];

function saturatedTable(all: readonly Series[]): string {
  return table([
    [...HEAD, "of the best peer's", "thousand messages a second", "cores of Redis"],
    ...all.map((one) => [
      name(one),
      show(cpu(one), decimals(2)),
      one.role === "ours" ? show(toBest(all, one, "peer"), times) : "",
      show(each(one.rounds, ({ perSecond }) => perSecond / 1e3), whole),
      show(each(one.rounds, ({ serverCores }) => serverCores), decimals(2)),
    ]),
  ]);
}

function pacedTable(all: readonly Series[]): string {
  return table([
    [...HEAD, "of the best peer's", "of the raw socket's", "messages a second"],
    ...all.map((one) => [
      name(one),
      show(cpu(one), decimals(2)),
      one.role === "ours" ? show(toBest(all, one, "peer"), times) : "",
      one.role === "raw" ? "" : show(toBest(all, one, "raw"), times),
      show(each(one.rounds, ({ perSecond }) => perSecond), whole),
    ]),
  ]);
}

function name({ runtime, label }: Pick<Series, "runtime" | "label">): string {
  return `${runtime}: ${label}`;
}

function cpu({ rounds }: Series): (number | undefined)[] {
  return each(rounds, ({ cpuMicros }) => cpuMicros);
}

/** Processor time over that of the best in this role, on the same runtime and in the same setting. */
function toBest(all: readonly Series[], one: Series, role: Client["role"]): number[] {
  const others = all.filter((other) => other.runtime === one.runtime && other.role === role);
  return ratios(cpu(one), best(others.map(cpu), "least"));
}

/** The same, and that of the floor. */
function toBoth(all: readonly Series[], one: Series, role: Client["role"]): [number[], number[] | undefined] {
  const floor = all.find((other) => other.runtime === one.runtime && other.role === "floor");
  return [toBest(all, one, role), floor && toBest(all, floor, role)];
}

/** By payload, in bytes. */
const SATURATED_LIMITS = new Map([[16, 0.4], [1_024, 0.9]]);

function verdicts({ series }: RedisOutcome): Verdict[] {
  return series.filter(({ role, label }) => role === "ours" && label === CLIENTS[0]!.label).flatMap((one) => {
    const { part, cell: { payloadBytes }, runtime } = one;
    const all = series.filter((other) => other.part === part && other.cell.payloadBytes === payloadBytes);
    const aim = (what: string, limit: number): Aim => ({ what, limit, is: "at most", format: times });
    if (part === "paced") {
      const what = `CPU a message at ${whole(RATE)} a second, to`;
      return [
        ...judge(aim(`${what} the raw socket's`, 1.1), runtime, ...toBoth(all, one, "raw")),
        ...judge(aim(`${what} the best peer's`, 1), runtime, ...toBoth(all, one, "peer")),
      ];
    }
    const what = `CPU a message of ${payloadBytes} B, Redis saturated, to the best peer's`;
    return judge(aim(what, SATURATED_LIMITS.get(payloadBytes) ?? NaN), runtime, ...toBoth(all, one, "peer"));
  });
}
