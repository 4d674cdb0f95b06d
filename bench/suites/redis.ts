/**
 * A real Redis: what a subscriber costs when Redis gives all that it can, and when it gives a message at a time. Redis
 * is what limits the messages a second, whoever reads: here speed shows as processor time.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Outcome, Task } from "../consumers/tally.ts";
import { type Cell, cycle, expectedChecksum, frameBytes } from "../frames.ts";
import { buildNative, hiredisVersion } from "../native.ts";
import { Lines } from "../process.ts";
import { BUILD } from "../runtimes.ts";
import { type BenchServer, startRedis } from "../server.ts";
import { decimals, ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";

/** Messages a second of the paced part: far enough apart for a wake-up each. */
const RATE = 10_000;
/**
 * Before that come as many messages as can be, so that what runs is compiled; how long, in milliseconds. On Bun, whose
 * compiler takes its time beside the program, a shorter one doubles what every client seems to cost.
 */
const WARM_MS = 2_000;
const QUICK_WARM_MS = 200;
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
  readonly role: "ours" | "peer" | "raw";
  /** Left out of a quick look. */
  readonly slow?: boolean;
}

const CLIENTS: readonly Client[] = [
  { label: "Earshot, `for await`", program: "earshot", role: "ours" },
  { label: "Earshot, `batches()`", program: "earshot_batches", role: "ours", slow: true },
  { label: "node-redis, callback", program: "node_redis", role: "peer" },
  { label: "ioredis 5, callback", program: "ioredis", role: "peer" },
  { label: "iovalkey, callback", program: "iovalkey", role: "peer", slow: true },
  { label: "raw socket", program: "drain", role: "raw" },
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
interface Reader extends Client {
  readonly runtime: string;
  readonly command: readonly string[];
}

/** What a run measured. */
interface Measurement {
  readonly perSecond: number;
  /** Processor time of the subscriber, in microseconds a message. */
  readonly cpuMicros: number;
  /** How much of one core Redis used meanwhile. */
  readonly serverCores: number;
}

/** The runs of one subscriber in one setting; null where Redis cut it off because it read too slowly. */
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
};

async function measure(ground: Ground): Promise<RedisOutcome> {
  const { plan, log } = ground;
  await using server = await startRedis(ground, PATIENCE);
  if (server === undefined) return { series: [] };
  const all = await prepareRuns(ground, server);
  for (let round = 1; round <= plan.rounds; round++) {
    log(`round ${round} of ${plan.rounds}`);
    for (const { series, run } of all) {
      const measured = await runOnce(run);
      if (measured === undefined) log(`Redis cut off a subscriber that read too slowly: ${name(series)}`);
      series.rounds.push(measured ?? null);
    }
  }
  return { series: all.map(({ series }) => series) };
}

async function prepareRuns(
  ground: Ground,
  server: BenchServer,
): Promise<{ readonly series: Series; readonly run: Run }[]> {
  const { quick } = ground.plan;
  const readers = await prepareReaders(ground);
  const publisherOf = await preparePublishers(ground, server.port);
  const settings = SETTINGS.filter(({ cell }) => !quick || cell.payloadBytes === 16);
  const runs = settings.map(async (setting) => {
    const { part, cell } = setting;
    const publisher = await publisherOf(setting);
    if (publisher === undefined) return [];
    // With a message at a time, both of ours are the same; and a quick look has no time for the peers.
    const some = part === "saturated"
      ? readers
      : readers.filter(({ program, role }) => program !== "earshot_batches" && !(quick && role === "peer"));
    return some.map((reader) => {
      const { runtime, label, role } = reader;
      const series: Series = { part, cell, runtime, label, role, rounds: [] };
      return { series, run: { server, reader, publisher, cell, ...durations(part, ground) } };
    });
  });
  return (await Promise.all(runs)).flat();
}

async function prepareReaders({ plan, runtimes, missing, version }: Ground): Promise<Reader[]> {
  const readers: Reader[] = runtimes.flatMap((runtime) =>
    [...CLIENTS, ...(runtime.name === "Bun" ? BUN_CLIENTS : [])].map((client) => ({
      ...client,
      runtime: runtime.name,
      command: runtime.command(client.program),
    }))
  );
  for (const client of C_CLIENTS) {
    const hiredis = client.program === "hiredis_sync";
    const native = await buildNative(client.program, { hiredis });
    if ("missing" in native) missing(`${client.label}, in C: ${native.missing}`);
    else readers.push({ ...client, runtime: "C", command: native.command });
  }
  version("hiredis", await hiredisVersion() ?? "not here");
  return readers.filter(({ slow }) => !(plan.quick && slow));
}

/** Gives the command that publishes in a setting; undefined when this machine lacks what it takes. */
async function preparePublishers(
  ground: Ground,
  port: number,
): Promise<(setting: Setting) => Promise<readonly string[] | undefined>> {
  const pacer = await buildNative("pacer");
  if ("missing" in pacer) ground.missing(`The paced part, whose publisher is in C: ${pacer.missing}`);
  return async ({ part, cell }) => {
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
    return [...pacer.command, ...[port, warmMs(ground), "cycle", file, length, `${RATE}:${ENDLESS}`].map(String)];
  };
}

function warmMs({ plan }: Ground): number {
  return plan.quick ? QUICK_WARM_MS : WARM_MS;
}

function durations(part: Part, ground: Ground): Pick<Task, "stride" | "warmUpMs" | "measureMs"> {
  const { warmUpMs, measureMs } = ground.plan;
  if (part === "saturated") return { stride: STRIDE, warmUpMs, measureMs };
  return { stride: PACED_STRIDE, warmUpMs: warmMs(ground) + WARM_END_MS, measureMs };
}

interface Run extends Pick<Task, "stride" | "warmUpMs" | "measureMs"> {
  readonly server: BenchServer;
  readonly reader: Reader;
  readonly publisher: readonly string[];
  readonly cell: Cell;
}

/** One subscriber and one publisher; undefined when Redis cut the subscriber off. */
async function runOnce(run: Run): Promise<Measurement | undefined> {
  const { server, cell, stride, warmUpMs, measureMs } = run;
  const task: Task = { port: server.port, channels: cell.channels, payload: "text", stride, warmUpMs, measureMs };
  await using reader = new Lines([...run.reader.command, ...words(run.reader, task)]);
  await using publisher = new Lines(run.publisher);
  for (const process of [reader, publisher]) {
    const answer = await process.next(GRACE_MS);
    if (answer !== "ready") throw new Error(`A program is not ready: ${answer}`);
  }
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
    return undefined;
  }
  return measured(run, JSON.parse(line ?? await told), cores);
}

/** Programs in C take their task as plain words. */
function words({ runtime }: Reader, task: Task): string[] {
  if (runtime !== "C") return [JSON.stringify(task)];
  return [task.port, task.channels, task.stride, task.warmUpMs, task.measureMs].map(String);
}

function measured({ reader, cell }: Run, outcome: Outcome, serverCores: number): Measurement {
  const { count, seconds, cpuSeconds, total, checksum } = outcome;
  if (reader.role !== "raw" && checksum !== expectedChecksum(cell, total)) {
    throw new Error(
      `${reader.label} on ${reader.runtime} saw other messages than were published: ${JSON.stringify(outcome)}`,
    );
  }
  const messages = reader.role === "raw" ? count / frameBytes(cell) : count;
  return { perSecond: messages / seconds, cpuMicros: cpuSeconds * 1e6 / messages, serverCores };
}

function render({ series }: RedisOutcome): string {
  if (series.length === 0) return "Nothing was measured.";
  const saturated = SETTINGS.filter(({ part }) => part === "saturated").flatMap(({ cell }) => {
    const of = series.filter((one) => one.part === "saturated" && one.cell.payloadBytes === cell.payloadBytes);
    return of.length === 0 ? [] : [
      `Redis gives all that it can: PUBLISH of ${cell.payloadBytes} bytes, pipelined over one raw socket. What a ` +
      "subscriber costs, and how busy Redis itself is, which is what limits the messages a second.",
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
      "of what it costs is the kernel's and the runtime's.",
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
      cost(one),
      one.role === "ours" ? show(ratios(cpu(one), best(all, one.runtime, "peer")), times) : "",
      show(known(one).map(({ perSecond }) => perSecond / 1e3), whole),
      show(known(one).map(({ serverCores }) => serverCores), decimals(2)),
    ]),
  ]);
}

function pacedTable(all: readonly Series[]): string {
  return table([
    [...HEAD, "of the best peer's", "of the raw socket's", "messages a second"],
    ...all.map((one) => [
      name(one),
      cost(one),
      one.role === "ours" ? show(ratios(cpu(one), best(all, one.runtime, "peer")), times) : "",
      one.role === "raw" ? "" : show(ratios(cpu(one), best(all, one.runtime, "raw")), times),
      show(known(one).map(({ perSecond }) => perSecond), whole),
    ]),
  ]);
}

function name({ runtime, label }: Series): string {
  return `${runtime}: ${label}`;
}

function known({ rounds }: Series): Measurement[] {
  return rounds.filter((round) => round !== null);
}

function cost(one: Series): string {
  const failed = one.rounds.length - known(one).length;
  const text = show(known(one).map(({ cpuMicros }) => cpuMicros), decimals(2));
  return failed === 0 ? text : `${text}, cut off by Redis in ${failed} of ${one.rounds.length} rounds`;
}

function cpu({ rounds }: Series): (number | undefined)[] {
  return rounds.map((round) => round?.cpuMicros);
}

/** The least processor time of each round. */
function best(all: readonly Series[], runtime: string, role: Client["role"]): (number | undefined)[] {
  const others = all.filter((one) => one.runtime === runtime && one.role === role).map(cpu);
  return (others[0] ?? []).map((_, round) => {
    const values = others.map((rounds) => rounds[round]).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : Math.min(...values);
  });
}
