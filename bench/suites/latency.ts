/**
 * From a publisher to a consumer over a real Redis, at an even pace: how long each message takes.
 *
 * @module
 */

import type { Latency, LatencyTask } from "../consumers/latency.ts";
import { monotonicNs } from "../consumers/latency_clock.ts";
import { cores, type Keep } from "../cores.ts";
import { buildNative, hiredisVersion } from "../native.ts";
import { Lines } from "../process.ts";
import { startRedis } from "../server.ts";
import { best, decimals, each, ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { type Aim, judge, type Verdict } from "../verdict.ts";

/** Messages a second, one after the other in each run, and how long each comes before it is measured, in milliseconds. */
const RATES: ReadonlyMap<number, number> = new Map([[10_000, 1_500], [1_000, 300]]);
/**
 * Each is measured so many times as long as is asked for. When a thread has a core for one time slice, some 3 ms, 30 messages
 * are late; in 0.8 s two or three such slices were all of the slowest hundredth.
 */
const FACTOR = 4;
/** As many messages as can be in so many milliseconds come first, so that what runs is compiled; Bun takes its time. */
const BURST_MS = 500;
const BUN_BURST_MS = 750;
const QUICK_WARM_MS = 200;
/**
 * In any case. A p99 is that of a machine left alone, or several times as much, in two to five of eight rounds, whoever reads;
 * and the best of three or four peers is, of five such rounds, the luckiest.
 */
const LEAST_ROUNDS = 9;
const CHANNEL = "latency";
const GRACE_MS = 20_000;

interface Client {
  readonly label: string;
  /** Of `consumers/latency.ts`. */
  readonly name: string;
  readonly role: "ours" | "peer" | "raw" | "floor";
  /** Left out of a quick look. */
  readonly slow?: boolean;
}

const CLIENTS: readonly Client[] = [
  { label: "Earshot, `for await`", name: "earshot", role: "ours" },
  { label: "node-redis, callback", name: "node_redis", role: "peer" },
  { label: "ioredis 5, callback", name: "ioredis", role: "peer" },
  { label: "iovalkey, callback", name: "iovalkey", role: "peer", slow: true },
  { label: "raw socket", name: "raw", role: "raw" },
  { label: "floor, `for await`", name: "floor", role: "floor", slow: true },
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
  readonly rounds: (Latency | null)[];
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
  verdicts,
};

async function measure(ground: Ground): Promise<LatencyOutcome> {
  const { plan, missing } = ground;
  const pacer = await buildNative("pacer");
  if ("missing" in pacer) {
    missing(`Latency, whose publisher is in C: ${pacer.missing}`);
    return { series: [] };
  }
  await using server = await startRedis(ground);
  if (server === undefined) return { series: [] };
  const readers = await prepareReaders(ground);
  const keep = await cores(ground);
  await keep(server.pid, "server and client");
  const rates = plan.quick ? [Math.max(...RATES.keys())] : [...RATES.keys()];
  const counts = rates.map((rate) => Math.ceil(rate * plan.measureMs * FACTOR / 1e3));
  const paces = rates.map((rate, pace) => `${rate}:${plan.quick ? QUICK_WARM_MS : RATES.get(rate)}:${counts[pace]}`);
  const task: LatencyTask = { port: server.port, channel: CHANNEL, baseNs: String(await monotonicNs()), counts };
  const turns = readers.map((reader): Turn<Latency[]> => {
    const burstMs = plan.quick ? QUICK_WARM_MS : reader.runtime === "Bun" ? BUN_BURST_MS : BURST_MS;
    const publisher = [...pacer.command, ...[task.port, burstMs, "stamp", CHANNEL, task.baseNs, ...paces].map(String)];
    return {
      name: `${reader.runtime}: ${reader.label}`,
      isOurs: reader.role === "ours",
      rounds: [],
      measure: () => runOnce(reader, task, publisher, keep),
    };
  });
  await takeTurns(ground, turns, LEAST_ROUNDS);
  const series = readers.flatMap(({ runtime, label, role }, index) =>
    rates.map((rate, pace): Series => {
      const rounds = turns[index]!.rounds.map((latencies) => latencies?.[pace] ?? null);
      return { runtime, label, role, rate, rounds };
    })
  );
  return { series };
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
async function runOnce(
  reader: Reader,
  task: LatencyTask,
  command: readonly string[],
  keep: Keep,
): Promise<Latency[]> {
  const { counts } = task;
  await using consumer = new Lines(reader.command(task));
  await using publisher = new Lines(command);
  for (const process of [consumer, publisher]) {
    const answer = await process.next(GRACE_MS);
    if (answer !== "ready") throw new Error(`A program is not ready: ${answer}`);
  }
  await keep(consumer.pid, "server and client");
  await keep(publisher.pid, "load");
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
    "reads the same clock when it has the payload as text. Microseconds from the one to the other. Between the raw socket " +
    "and the consumer there is nothing; the floor does what no client can leave out for a message that comes by itself.",
    ...rates.map((rate) => rateTable(rate, series.filter((one) => one.rate === rate))),
  ].join("\n\n");
}

function rateTable(rate: number, all: readonly Series[]): string {
  const text = (one: Series, of: (latency: Latency) => number) => show(each(one.rounds, of), decimals(0));
  const ratio = (one: Series, of: (latency: Latency) => number, runtime: string) =>
    one.role === "ours" ? show(toBest(all, one, of, runtime), times) : "";
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

/** Over that of the best peer of a runtime. */
function toBest(all: readonly Series[], one: Series, of: (latency: Latency) => number, runtime: string): number[] {
  const peers = all.filter((other) => other.role === "peer" && other.runtime === runtime);
  return ratios(each(one.rounds, of), best(peers.map(({ rounds }) => each(rounds, of)), "least"));
}

function verdicts({ series }: LatencyOutcome): Verdict[] {
  return series.filter(({ role }) => role === "ours").flatMap((one) => {
    const { rate, runtime } = one;
    const all = series.filter((other) => other.rate === rate);
    const aim = (what: string, limit: number): Aim => ({
      what: `${what} at ${whole(rate)} a second`,
      limit,
      is: "at most",
      format: times,
    });
    const floor = all.find((other) => other.role === "floor" && other.runtime === runtime);
    const verdict = (what: string, limit: number, of: (latency: Latency) => number, than: string) =>
      judge(
        aim(what, limit),
        runtime,
        toBest(all, one, of, than),
        floor === undefined ? undefined : toBest(all, floor, of, than),
      );
    return [
      ...verdict("p50 to the best peer's", 1, p50, runtime),
      ...verdict("p99 to the best peer's", 1, p99, runtime),
      ...verdict("p50 to hiredis'", 1.1, p50, C),
      ...verdict("p99 to hiredis'", 1.3, p99, C),
    ];
  });
}
