/**
 * What is held: by channels, by connections that wait, by a consumer that never reads, and by payloads that are kept.
 *
 * @module
 */

import type { ChannelsOutcome, ChannelsTask } from "../consumers/memory_channels.ts";
import type { Held } from "../consumers/memory_heap.ts";
import type { IdleOutcome, IdleTask } from "../consumers/memory_idle.ts";
import type { RetentionOutcome, RetentionTask } from "../consumers/memory_retention.ts";
import type { StalledOutcome, StalledTask } from "../consumers/memory_stalled.ts";
import { type Cell, cellName } from "../frames.ts";
import { Lines } from "../process.ts";
import { Firehose } from "../run.ts";
import { output, type Runtime } from "../runtimes.ts";
import { startRedis } from "../server.ts";
import { decimals, each, show, spread, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { type Aim, judge, type Verdict } from "../verdict.ts";

/** These figures hardly change from round to round. */
const MOST_ROUNDS = 3;
const CLIENTS: readonly IdleTask["client"][] = ["earshot", "socket"];
const POLICIES: readonly StalledTask["overflow"][] = ["drop-oldest", "drop-newest", "latest", "block", "error"];
const SMALL: Cell = { payloadBytes: 16, channels: 1 };
const KIBIBYTE: Cell = { payloadBytes: 1_024, channels: 1 };
const CODECS = ["text", "bytes"] as const;
const KEPT_BYTES: readonly number[] = [10, 100];
const EVERY_BYTES = 64 * 1024;
/** A stalled consumer is watched at least so long, in milliseconds; `--seconds 600` makes it ten minutes. */
const WATCH_MS = 6_000;
const QUICK_WATCH_MS = 1_000;
const GRACE_MS = 60_000;
/** Each takes a file of the program, and one of the server. */
const IDLE_CONNECTIONS = 10_000;
const SPARE_FILES = 100;

/** How much of everything. */
interface Amounts {
  readonly channels: number;
  readonly connections: number;
  readonly keep: number;
  readonly keptBytes: readonly number[];
  readonly watchMs: number;
  readonly stalled: readonly Pick<Stalled, "cell" | "overflow">[];
}

interface Stalled {
  readonly cell: Cell;
  readonly overflow: StalledTask["overflow"];
  readonly rounds: (StalledOutcome | null)[];
}

interface OnRuntime {
  readonly runtime: string;
  readonly channels: (ChannelsOutcome | null)[];
  readonly idle: Readonly<Record<IdleTask["client"], (IdleOutcome | null)[]>>;
  readonly stalled: readonly Stalled[];
  readonly kept: readonly {
    readonly codec: RetentionTask["codec"];
    readonly payloadBytes: number;
    readonly rounds: (RetentionOutcome | null)[];
  }[];
}

/** Everything that was measured. */
export interface MemoryOutcome {
  readonly amounts: Omit<Amounts, "stalled">;
  readonly runtimes: readonly OnRuntime[];
}

/** The suite. */
export const suite: Suite<MemoryOutcome> = {
  name: "memory",
  title: "Memory",
  programs: ["memory_channels", "memory_idle", "memory_stalled", "memory_retention"],
  run: measure,
  render,
  verdicts,
};

async function amountsFor({ plan: { quick, measureMs, overflow }, missing }: Ground): Promise<Amounts> {
  const watchMs = Math.max(measureMs, quick ? QUICK_WATCH_MS : WATCH_MS);
  const policies = overflow.length === 0 ? POLICIES : POLICIES.filter((policy) => overflow.includes(policy));
  const all = policies.map((overflow) => ({ cell: KIBIBYTE, overflow }));
  const connections = Math.min(IDLE_CONNECTIONS, await openFiles() - SPARE_FILES);
  if (connections < IDLE_CONNECTIONS) {
    missing(
      `${
        whole(IDLE_CONNECTIONS)
      } idle connections: a process may open so many files only that there are ${connections}`,
    );
  }
  return quick
    ? { channels: 20_000, connections: 100, keep: 100, keptBytes: [10], watchMs, stalled: all.slice(0, 1) }
    : {
      channels: 100_000,
      connections,
      keep: 3_000,
      keptBytes: KEPT_BYTES,
      watchMs,
      stalled: [{ cell: SMALL, overflow: policies[0]! }, ...all],
    };
}

/** How many files a process may open here. */
async function openFiles(): Promise<number> {
  const text = await output("sh", ["-c", "ulimit -n"]).catch(() => "");
  return text === "unlimited" ? Infinity : Number(text) || 1_024;
}

async function measure(ground: Ground): Promise<MemoryOutcome> {
  const amounts = await amountsFor(ground);
  await using server = await startRedis(ground, ["--maxclients", String(2 * amounts.connections)]);
  await using firehose = await Firehose.start(ground.missing);
  const all = ground.runtimes.map((runtime) => ({ runtime, one: nothingYet(runtime, amounts) }));
  await takeTurns<unknown>(
    ground,
    all.flatMap(({ runtime, one }) => [
      ...server === undefined ? [] : onRedis(runtime, server.port, amounts, one),
      ...stalled(runtime, firehose, amounts, one.stalled),
      ...kept(runtime, firehose, amounts, one.kept),
    ]),
  );
  const { stalled: _, ...rest } = amounts;
  return { amounts: rest, runtimes: all.map(({ one }) => one) };
}

function nothingYet({ name }: Runtime, { stalled, keptBytes }: Amounts): OnRuntime {
  return {
    runtime: name,
    channels: [],
    idle: { earshot: [], socket: [] },
    stalled: stalled.map((which) => ({ ...which, rounds: [] })),
    kept: CODECS.flatMap((codec) => keptBytes.map((payloadBytes) => ({ codec, payloadBytes, rounds: [] }))),
  };
}

function onRedis(runtime: Runtime, port: number, { channels, connections }: Amounts, one: OnRuntime): Turn<unknown>[] {
  const all: ChannelsTask = { port, channels };
  return [
    {
      name: `${runtime.name}: ${channels} channels`,
      isOurs: true,
      rounds: one.channels,
      most: MOST_ROUNDS,
      measure: () => ask(runtime, "memory_channels", all),
    },
    ...CLIENTS.map((client): Turn<unknown> => {
      const task: IdleTask = { port, connections, client };
      return {
        name: `${runtime.name}: idle connections, ${client}`,
        isOurs: client === "earshot",
        rounds: one.idle[client],
        most: 1,
        measure: () => ask(runtime, "memory_idle", task),
      };
    }),
  ];
}

function stalled(
  runtime: Runtime,
  firehose: Firehose,
  { watchMs }: Amounts,
  series: OnRuntime["stalled"],
): Turn<unknown>[] {
  return series.map(({ cell, overflow, rounds }) => {
    const task: StalledTask = { port: firehose.port, channels: cell.channels, overflow, watchMs };
    return {
      name: `${runtime.name}: a stalled consumer, ${overflow}`,
      isOurs: true,
      rounds,
      most: 1,
      measure: () => flooded(firehose, cell, runtime.command("memory_stalled"), task, watchMs),
    };
  });
}

function kept(runtime: Runtime, firehose: Firehose, { keep }: Amounts, series: OnRuntime["kept"]): Turn<unknown>[] {
  return series.map(({ codec, payloadBytes, rounds }) => {
    const cell: Cell = { payloadBytes, channels: 1 };
    const task: RetentionTask = { port: firehose.port, cell, codec, everyBytes: EVERY_BYTES, keep };
    const command = runtime.command("memory_retention", { exposeGc: true });
    return {
      name: `${runtime.name}: kept payloads, ${codec}`,
      isOurs: true,
      rounds,
      most: MOST_ROUNDS,
      measure: () => flooded(firehose, cell, command, task, 0),
    };
  });
}

/** What a program says that reads from the firehose. */
async function flooded<T>(
  firehose: Firehose,
  cell: Cell,
  command: readonly string[],
  task: unknown,
  lastsMs: number,
): Promise<T> {
  await firehose.load(cell);
  await using process = new Lines([...command, JSON.stringify(task)]);
  const answer = await process.next(GRACE_MS);
  if (answer !== "ready") throw new Error(`The program is not ready: ${answer}`);
  await firehose.go();
  return JSON.parse(await process.next(lastsMs + GRACE_MS));
}

/** What a program says that needs nothing but its task. */
async function ask(runtime: Runtime, program: string, task: unknown): Promise<unknown> {
  await using process = new Lines([...runtime.command(program, { exposeGc: true }), JSON.stringify(task)]);
  return JSON.parse(await process.next(GRACE_MS));
}

function render({ amounts, runtimes }: MemoryOutcome): string {
  const { channels, connections, keep, watchMs } = amounts;
  return [
    `The heap (with the buffers beside it) before and after one \`subscribe()\` of ${
      whole(channels)
    } names on a real ` +
    "Redis, after forced collections, for each channel; and when a message has come on each. The strings of the names are " +
    "the caller's and not in it. Resident memory holds what the collector has not given back yet.",
    channelsTable(runtimes),
    `The same for each of ${
      whole(connections)
    } connections to a real Redis that have one channel and get nothing, and ` +
    "for as many sockets of the runtime with a read that waits. Resident memory has what the runtime holds outside " +
    "of its heap.",
    idleTable(runtimes),
    `A subscriber on the firehose whose messages nobody takes, every default on but the policy, watched for ${
      watchMs / 1e3
    } s: resident ` +
    "memory in MB before the first message, and the most in each third of the time. The queue holds 65,536 messages " +
    "or 16 MiB of payload, whichever is reached first; the growth must stop (`--seconds 600` watches for ten minutes).",
    stalledTable(runtimes),
    `A consumer of the firehose that keeps one payload of every ${EVERY_BYTES / 1024} KiB read, ${
      whole(keep)
    } in all: ` +
    "what is held for each of them, after forced collections; its own bytes are in it.",
    keptTable(runtimes),
  ].join("\n\n");
}

/** What they may hold, in MB. */
const MOST_IDLE_MB = 640;
/** What V8 and JavaScriptCore may have as garbage, and what a room and a queue of many small messages take, in MB. */
const STALLED_CONSTANT_MB = 384;
/** In shorter times, in milliseconds, a collector is not done with growing its heap. */
const LONG_WATCH_MS = 60_000;
const QUEUE_MB = 16 * 1024 * 1024 / 1e6;

function verdicts({ amounts: { watchMs }, runtimes }: MemoryOutcome): Verdict[] {
  return runtimes.flatMap(({ runtime, channels, idle, stalled }) => {
    const aim = (what: string, limit: number, format: Aim["format"]): Aim => ({ what, limit, is: "at most", format });
    return [
      ...judge(
        aim("bytes of heap a subscribed channel", 300, whole),
        runtime,
        each(channels, ({ subscribed }) => subscribed.heap),
      ),
      ...judge(
        aim("the same, a message heard on each", 300, whole),
        runtime,
        each(channels, ({ heard }) => heard.heap),
      ),
      ...judge(
        aim(`MB that ${whole(IDLE_CONNECTIONS)} idle connections hold, resident`, MOST_IDLE_MB, whole),
        runtime,
        each(idle.earshot, ({ rss }) => rss * IDLE_CONNECTIONS / 1e6),
      ),
      ...stalled.flatMap(({ cell, overflow, rounds }) => {
        const what = `a stalled consumer, ${cellName(cell)}, ${overflow}`;
        return [
          ...judge(
            aim(`${what}: last third of the time to the second`, 1.05, times),
            runtime,
            watchMs < LONG_WATCH_MS ? [] : each(rounds, lastGrowth),
          ),
          ...judge(
            aim(`${what}: MB above the start`, Math.round(QUEUE_MB + STALLED_CONSTANT_MB), whole),
            runtime,
            each(rounds, ({ before, samples }) => (spread(samples).max - before) / 1e6),
          ),
        ];
      }),
    ];
  });
}

function lastGrowth({ samples }: StalledOutcome): number {
  const [, second = [], last = []] = thirds(samples);
  return spread(last).max / spread(second).max;
}

function channelsTable(runtimes: readonly OnRuntime[]): string {
  const bytes = (of: (one: ChannelsOutcome) => number) => ({ channels }: OnRuntime) => show(each(channels, of), whole);
  return byRuntime("bytes a channel", runtimes, [
    ["heap, subscribed", bytes(({ subscribed }) => subscribed.heap)],
    ["heap, a message heard on each", bytes(({ heard }) => heard.heap)],
    ["resident, a message heard on each", bytes(({ heard }) => heard.rss)],
    ["the caller's names", bytes(({ names }) => names.heap)],
  ]);
}

function idleTable(runtimes: readonly OnRuntime[]): string {
  const kilobytes = (client: IdleTask["client"], of: (one: Held) => number) => ({ idle }: OnRuntime) =>
    show(each(idle[client], (one) => of(one) / 1024), decimals(1));
  return byRuntime("KiB a connection", runtimes, [
    ["Earshot, heap", kilobytes("earshot", ({ heap }) => heap)],
    ["Earshot, resident", kilobytes("earshot", ({ rss }) => rss)],
    ["socket alone, heap", kilobytes("socket", ({ heap }) => heap)],
    ["socket alone, resident", kilobytes("socket", ({ rss }) => rss)],
  ]);
}

function keptTable(runtimes: readonly OnRuntime[]): string {
  const rows = runtimes[0]?.kept ?? [];
  return byRuntime(
    "bytes a payload that is kept",
    runtimes,
    rows.map(({ codec, payloadBytes }, row) => [
      `${codec}, ${payloadBytes} bytes`,
      ({ kept }) => show(each(kept[row]!.rounds, ({ heap }) => heap), whole),
    ]),
  );
}

function byRuntime(
  head: string,
  runtimes: readonly OnRuntime[],
  rows: readonly (readonly [label: string, text: (one: OnRuntime) => string])[],
): string {
  return table([
    [head, ...runtimes.map(({ runtime }) => runtime)],
    ...rows.map(([label, text]) => [label, ...runtimes.map(text)]),
  ]);
}

function stalledTable(runtimes: readonly OnRuntime[]): string {
  const megabytes = (bytes: number) => bytes / 1e6;
  return table([
    ["MB", "before", "first third", "second", "last", "messages waiting", "bytes waiting", "million dropped"],
    ...runtimes.flatMap(({ runtime, stalled }) =>
      stalled.map(({ cell, overflow, rounds }) => {
        const text = (of: (one: StalledOutcome) => number, format: (value: number) => string) =>
          show(each(rounds, of), format);
        return [
          `${runtime}: ${cellName(cell)}, ${overflow}`,
          text(({ before }) => megabytes(before), decimals(1)),
          ...[0, 1, 2].map((third) =>
            text(({ samples }) => megabytes(spread(thirds(samples)[third]!).max), decimals(1))
          ),
          text(({ queued }) => queued, whole),
          text(({ queuedBytes }) => queuedBytes, whole),
          text(({ dropped }) => dropped / 1e6, decimals(1)),
        ];
      })
    ),
  ]);
}

function thirds(samples: readonly number[]): number[][] {
  const length = Math.ceil(samples.length / 3);
  return [0, 1, 2].map((third) => samples.slice(third * length, (third + 1) * length));
}
