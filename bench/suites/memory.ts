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
import type { Runtime } from "../runtimes.ts";
import { startRedis } from "../server.ts";
import { decimals, show, spread, table, whole } from "../spread.ts";
import type { Ground, Plan, Suite } from "../suite.ts";

/** These figures hardly change from round to round. */
const MOST_ROUNDS = 3;
const CLIENTS: readonly IdleTask["client"][] = ["earshot", "socket"];
const STALLED: readonly Cell[] = [{ payloadBytes: 16, channels: 1 }, { payloadBytes: 1_024, channels: 1 }];
const KEPT_BYTES: readonly number[] = [10, 100];
const EVERY_BYTES = 64 * 1024;
/** A stalled consumer is watched at least so long, in milliseconds; `--seconds 600` makes it ten minutes. */
const WATCH_MS = 10_000;
const QUICK_WATCH_MS = 1_000;
const GRACE_MS = 60_000;

/** How much of everything. */
interface Amounts {
  readonly channels: number;
  readonly connections: number;
  readonly keep: number;
  readonly keptBytes: readonly number[];
  readonly watchMs: number;
  readonly cells: readonly Cell[];
}

interface OnRuntime {
  readonly runtime: string;
  readonly channels: ChannelsOutcome[];
  readonly idle: Readonly<Record<IdleTask["client"], IdleOutcome[]>>;
  readonly stalled: readonly { readonly cell: Cell; readonly outcome: StalledOutcome }[];
  readonly kept: readonly {
    readonly codec: RetentionTask["codec"];
    readonly payloadBytes: number;
    readonly rounds: RetentionOutcome[];
  }[];
}

/** Everything that was measured. */
export interface MemoryOutcome {
  readonly amounts: Amounts;
  readonly runtimes: readonly OnRuntime[];
}

/** The suite. */
export const suite: Suite<MemoryOutcome> = {
  name: "memory",
  title: "Memory",
  programs: ["memory_channels", "memory_idle", "memory_stalled", "memory_retention"],
  run: measure,
  render,
};

function amountsFor({ quick, measureMs }: Plan): Amounts {
  const watchMs = Math.max(measureMs, quick ? QUICK_WATCH_MS : WATCH_MS);
  return quick
    ? { channels: 20_000, connections: 100, keep: 500, keptBytes: [10], watchMs, cells: STALLED.slice(0, 1) }
    : { channels: 100_000, connections: 1_000, keep: 3_000, keptBytes: KEPT_BYTES, watchMs, cells: STALLED };
}

async function measure(ground: Ground): Promise<MemoryOutcome> {
  const { plan, log } = ground;
  const amounts = amountsFor(plan);
  await using server = await startRedis(ground);
  await using firehose = await Firehose.start(ground.missing);
  const runtimes: OnRuntime[] = [];
  for (const runtime of ground.runtimes) {
    log(runtime.name);
    const one: OnRuntime = {
      runtime: runtime.name,
      channels: [],
      idle: { earshot: [], socket: [] },
      stalled: await stalled(runtime, firehose, amounts),
      kept: (["text", "bytes"] as const).flatMap((codec) =>
        amounts.keptBytes.map((payloadBytes) => ({ codec, payloadBytes, rounds: [] }))
      ),
    };
    for (let round = 1; round <= Math.min(plan.rounds, MOST_ROUNDS); round++) {
      if (server !== undefined) await onRedis(runtime, server.port, amounts, one);
      await kept(runtime, firehose, amounts, one.kept);
    }
    runtimes.push(one);
  }
  return { amounts, runtimes };
}

async function onRedis(runtime: Runtime, port: number, amounts: Amounts, one: OnRuntime): Promise<void> {
  const { channels, connections } = amounts;
  const all: ChannelsTask = { port, channels };
  await using process = start(runtime, "memory_channels", all);
  one.channels.push(JSON.parse(await process.next(GRACE_MS)));
  for (const client of CLIENTS) {
    const task: IdleTask = { port, connections, client };
    await using process = start(runtime, "memory_idle", task);
    one.idle[client].push(JSON.parse(await process.next(GRACE_MS)));
  }
}

async function stalled(
  runtime: Runtime,
  firehose: Firehose,
  { cells, watchMs }: Amounts,
): Promise<OnRuntime["stalled"]> {
  const all: { cell: Cell; outcome: StalledOutcome }[] = [];
  for (const cell of cells) {
    const task: StalledTask = { port: firehose.port, channels: cell.channels, watchMs };
    all.push({ cell, outcome: await flooded(firehose, cell, runtime.command("memory_stalled"), task, watchMs) });
  }
  return all;
}

async function kept(
  runtime: Runtime,
  firehose: Firehose,
  { keep }: Amounts,
  series: OnRuntime["kept"],
): Promise<void> {
  for (const { codec, payloadBytes, rounds } of series) {
    const cell: Cell = { payloadBytes, channels: 1 };
    const task: RetentionTask = { port: firehose.port, cell, codec, everyBytes: EVERY_BYTES, keep };
    rounds.push(await flooded(firehose, cell, runtime.command("memory_retention", { exposeGc: true }), task, 0));
  }
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

function start(runtime: Runtime, program: string, task: unknown): Lines {
  return new Lines([...runtime.command(program, { exposeGc: true }), JSON.stringify(task)]);
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
    `A subscriber on the firehose whose messages nobody takes, every default on, watched for ${
      watchMs / 1e3
    } s: resident ` +
    "memory in MB before the first message, and the most in each third of the time. The queue holds 65,536 messages " +
    "or 16 MiB of payload, whichever is reached first; the growth must stop.",
    stalledTable(runtimes),
    `A consumer of the firehose that keeps one payload of every ${EVERY_BYTES / 1024} KiB read, ${
      whole(keep)
    } in all: ` +
    "what is held for each of them, after forced collections; its own bytes are in it.",
    keptTable(runtimes),
  ].join("\n\n");
}

function channelsTable(runtimes: readonly OnRuntime[]): string {
  const bytes = (of: (one: ChannelsOutcome) => number) => ({ channels }: OnRuntime) => show(channels.map(of), whole);
  return byRuntime("bytes a channel", runtimes, [
    ["heap, subscribed", bytes(({ subscribed }) => subscribed.heap)],
    ["heap, a message heard on each", bytes(({ heard }) => heard.heap)],
    ["resident, a message heard on each", bytes(({ heard }) => heard.rss)],
    ["the caller's names", bytes(({ names }) => names.heap)],
  ]);
}

function idleTable(runtimes: readonly OnRuntime[]): string {
  const kilobytes = (client: IdleTask["client"], of: (one: Held) => number) => ({ idle }: OnRuntime) =>
    show(idle[client].map((one) => of(one) / 1024), decimals(1));
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
      ({ kept }) => show(kept[row]!.rounds.map(({ heap }) => heap), whole),
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
  const megabytes = (bytes: number) => decimals(1)(bytes / 1e6);
  return table([
    ["MB", "before", "first third", "second", "last", "messages waiting", "bytes waiting", "million dropped"],
    ...runtimes.flatMap(({ runtime, stalled }) =>
      stalled.map(({ cell, outcome }) => [
        `${runtime}: ${cellName(cell)}`,
        megabytes(outcome.before),
        ...thirds(outcome.samples).map((samples) => megabytes(spread(samples).max)),
        whole(outcome.queued),
        whole(outcome.queuedBytes),
        decimals(1)(outcome.dropped / 1e6),
      ])
    ),
  ]);
}

function thirds(samples: readonly number[]): number[][] {
  const length = Math.ceil(samples.length / 3);
  return [0, 1, 2].map((third) => samples.slice(third * length, (third + 1) * length));
}
