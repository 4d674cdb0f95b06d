/**
 * From a publisher to a consumer over a real Redis, at an even pace: how long each message takes.
 *
 * @module
 */

import type { Latency, LatencyTask } from "../consumers/latency.ts";
import { monotonicNs } from "../consumers/latency_clock.ts";
import { buildNative, hiredisVersion } from "../native.ts";
import { Lines } from "../process.ts";
import { startRedis } from "../server.ts";
import { decimals, ratios, show, spread, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";

/** Messages a second, one after the other in each run. */
const RATES: readonly number[] = [1_000, 10_000];
/** Each is measured so many times as long as is asked for: a p99 needs some hundreds of messages. */
const FACTOR = 2;
/** As many messages as can be in so many milliseconds come first, so that what runs is compiled. */
const WARM_MS = 1_000;
const QUICK_WARM_MS = 200;
const CHANNEL = "latency";
const GRACE_MS = 20_000;

interface Client {
  readonly label: string;
  /** Of `consumers/latency.ts`. */
  readonly name: string;
  readonly role: "ours" | "peer" | "raw";
  /** Left out of a quick look. */
  readonly slow?: boolean;
}

const CLIENTS: readonly Client[] = [
  { label: "Earshot, `for await`", name: "earshot", role: "ours" },
  { label: "node-redis, callback", name: "node_redis", role: "peer" },
  { label: "ioredis 5, callback", name: "ioredis", role: "peer" },
  { label: "iovalkey, callback", name: "iovalkey", role: "peer", slow: true },
  { label: "raw socket", name: "raw", role: "raw" },
];
const BUN_CLIENT: Client = { label: "Bun's own client, callback", name: "bun", role: "peer" };
const C = "C";

interface Reader extends Pick<Client, "label" | "role"> {
  readonly runtime: string;
  command(task: LatencyTask): readonly string[];
}

/** The runs of one client at one rate. */
interface Series extends Pick<Client, "label" | "role"> {
  readonly runtime: string;
  readonly rate: number;
  readonly rounds: Latency[];
}

/** Everything that was measured. */
export interface LatencyOutcome {
  readonly series: readonly Series[];
}

/** The suite. */
export const suite: Suite<LatencyOutcome> = {
  name: "latency",
  title: "Latency from publisher to consumer",
  programs: ["latency"],
  run: measure,
  render,
};

async function measure(ground: Ground): Promise<LatencyOutcome> {
  const { plan, log, missing } = ground;
  const pacer = await buildNative("pacer");
  if ("missing" in pacer) {
    missing(`Latency, whose publisher is in C: ${pacer.missing}`);
    return { series: [] };
  }
  await using server = await startRedis(ground);
  if (server === undefined) return { series: [] };
  const readers = await prepareReaders(ground);
  const rates = plan.quick ? RATES.slice(-1) : RATES;
  const all = readers.map((reader) => {
    const { runtime, label, role } = reader;
    return { reader, series: rates.map((rate): Series => ({ runtime, label, role, rate, rounds: [] })) };
  });
  const counts = rates.map((rate) => Math.ceil(rate * plan.measureMs * FACTOR / 1e3));
  const paces = rates.map((rate, pace) => `${rate}:${counts[pace]}`);
  const warmMs = plan.quick ? QUICK_WARM_MS : WARM_MS;
  const task: LatencyTask = { port: server.port, channel: CHANNEL, baseNs: String(await monotonicNs()), counts };
  const publisher = [...pacer.command, ...[task.port, warmMs, "stamp", CHANNEL, task.baseNs, ...paces].map(String)];
  for (let round = 1; round <= plan.rounds; round++) {
    log(`round ${round} of ${plan.rounds}`);
    for (const { reader, series } of all) {
      const latencies = await runOnce(reader, task, publisher);
      for (const [pace, latency] of latencies.entries()) series[pace]?.rounds.push(latency);
    }
  }
  return { series: all.flatMap(({ series }) => series) };
}

async function prepareReaders({ plan, runtimes, missing, version }: Ground): Promise<Reader[]> {
  const readers: Reader[] = runtimes.flatMap((runtime) =>
    [...CLIENTS, ...runtime.name === "Bun" ? [BUN_CLIENT] : []].filter(({ slow }) => !(plan.quick && slow))
      .map(({ label, name, role }) => ({
        label,
        role,
        runtime: runtime.name,
        command: (task) => [...runtime.command("latency"), name, JSON.stringify(task)],
      }))
  );
  const native = await buildNative("latency_hiredis", { hiredis: true });
  if ("missing" in native) missing(`hiredis, in C: ${native.missing}`);
  else {
    version("hiredis", await hiredisVersion() ?? "unknown");
    readers.push({
      label: "hiredis, synchronous",
      role: "peer",
      runtime: C,
      command: ({ port, channel, baseNs, counts }) => [...native.command, port, channel, baseNs, ...counts].map(String),
    });
  }
  return readers;
}

/** The latencies of one client at each rate. */
async function runOnce(reader: Reader, task: LatencyTask, command: readonly string[]): Promise<Latency[]> {
  const { counts } = task;
  await using consumer = new Lines(reader.command(task));
  await using publisher = new Lines(command);
  for (const process of [consumer, publisher]) {
    const answer = await process.next(GRACE_MS);
    if (answer !== "ready") throw new Error(`A program is not ready: ${answer}`);
  }
  await publisher.say("go");
  const from = performance.now();
  const latencies: Latency[] = JSON.parse(await consumer.next());
  const most = (performance.now() - from) * 1e3;
  // Less than nothing, or more than the whole run, is no latency: then the clocks are not the same.
  const arePossible = latencies.every(({ count, min, max }, pace) => count === counts[pace] && min > 0 && max < most);
  if (arePossible && latencies.length === counts.length) return latencies;
  throw new Error(`${reader.label} on ${reader.runtime} measured what cannot be: ${JSON.stringify(latencies)}`);
}

function render({ series }: LatencyOutcome): string {
  if (series.length === 0) return "Nothing was measured.";
  const rates = [...new Set(series.map(({ rate }) => rate))];
  return [
    "A publisher in C writes the time into every message and sends it over a raw socket; the consumer, another process, " +
    "reads the same clock when it has the payload as text. Microseconds from the one to the other. The best peer is the " +
    "one with the lowest median of all rounds: the lowest of each round would be the luckiest.",
    ...rates.map((rate) => rateTable(rate, series.filter((one) => one.rate === rate))),
  ].join("\n\n");
}

function rateTable(rate: number, all: readonly Series[]): string {
  const text = (one: Series, of: (latency: Latency) => number) => show(one.rounds.map(of), decimals(0));
  const ratio = (one: Series, of: (latency: Latency) => number, runtime: string) => {
    const peers = all.filter((other) => other.role === "peer" && other.runtime === runtime);
    return one.role !== "ours" ? "" : show(ratios(one.rounds.map(of), best(peers, of)), times);
  };
  return table([
    [
      `${whole(rate)} messages a second`,
      "p50",
      "p99",
      "p99.9",
      "most",
      "p50, of the best peer's",
      "p99, of the best peer's",
      "p50, of hiredis'",
      "p99, of hiredis'",
    ],
    ...all.map((one) => [
      `${one.runtime}: ${one.label}`,
      text(one, p50),
      text(one, p99),
      text(one, ({ p999 }) => p999),
      text(one, ({ max }) => max),
      ratio(one, p50, one.runtime),
      ratio(one, p99, one.runtime),
      ratio(one, p50, C),
      ratio(one, p99, C),
    ]),
  ]);
}

function p50(latency: Latency): number {
  return latency.p50;
}

function p99(latency: Latency): number {
  return latency.p99;
}

/** Of the client that is best in the median. */
function best(all: readonly Series[], of: (latency: Latency) => number): number[] {
  const rounds = all.map(({ rounds }) => rounds.map(of));
  return rounds.toSorted((a, b) => spread(a).median - spread(b).median)[0] ?? [];
}
