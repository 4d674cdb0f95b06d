/**
 * Many channels at once over a real Redis: how long it takes to subscribe, and to have them again after a cut.
 *
 * @module
 */

import type { SubscribeOutcome as Measured, SubscribeTask } from "../consumers/subscribe_run.ts";
import { Lines } from "../process.ts";
import type { Runtime } from "../runtimes.ts";
import { startRedis } from "../server.ts";
import { best, each, ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { type Aim, judge, type Verdict } from "../verdict.ts";

const CHANNELS: readonly number[] = [10_000, 100_000];

interface Client {
  readonly label: string;
  /** Of `consumers/`, and what else it is told. */
  readonly program: string;
  readonly word?: string;
  readonly role: "ours" | "peer" | "raw" | "floor";
  /** Where it runs; everywhere without. */
  readonly only?: Runtime["name"];
  /** Left out of a quick look. */
  readonly slow?: boolean;
}

const CLIENTS: readonly Client[] = [
  { label: "raw socket, a command for each name", program: "subscribe_raw", role: "raw" },
  { label: "floor", program: "subscribe_floor", role: "floor" },
  { label: "Earshot", program: "subscribe_earshot", role: "ours" },
  { label: "node-redis", program: "subscribe_node_redis", role: "peer" },
  { label: "ioredis 5", program: "subscribe_ioredis", role: "peer" },
  { label: "iovalkey", program: "subscribe_iovalkey", role: "peer", slow: true },
  { label: "Bun's own client", program: "subscribe_bun_redis", role: "peer", only: "Bun", slow: true },
];

/** For information: it is no measure, since a refusal would name none of them. */
const IN_ONE: Client = {
  label: "raw socket, one command",
  program: "subscribe_raw",
  word: "one",
  role: "raw",
  slow: true,
};

/** In any case, where as many are asked for: three rounds differ from the next three by as much as lies between the targets. */
const LEAST_ROUNDS = 7;

interface Series {
  readonly runtime: string;
  readonly label: string;
  readonly role: Client["role"] | "information";
  readonly channels: number;
  readonly rounds: (Measured | null)[];
}

/** Everything that was measured. */
export interface SubscribeOutcome {
  readonly series: readonly Series[];
}

/** The suite. */
export const suite: Suite<SubscribeOutcome> = {
  name: "subscribe",
  title: "Subscribing to many channels, and again after a cut",
  programs: [...new Set(CLIENTS.map(({ program }) => program))],
  run: measure,
  render,
  verdicts,
};

async function measure(ground: Ground): Promise<SubscribeOutcome> {
  const { plan, runtimes } = ground;
  await using server = await startRedis(ground);
  if (server === undefined) return { series: [] };
  const { port } = server;
  const all = (plan.quick ? CHANNELS.slice(0, 1) : CHANNELS).flatMap((channels) =>
    runtimes.flatMap((runtime) =>
      [...CLIENTS, IN_ONE]
        .filter(({ only, slow }) => (only ?? runtime.name) === runtime.name && !(plan.quick && slow))
        .map(({ label, program, word, role }) => {
          const task: SubscribeTask = { port, channels };
          const command = [...runtime.command(program), JSON.stringify(task), ...word === undefined ? [] : [word]];
          const kept = word === undefined ? role : "information";
          return { command, one: { runtime: runtime.name, label, role: kept, channels, rounds: [] } as Series };
        })
    )
  );
  await takeTurns(
    ground,
    all.map(({ command, one: { runtime, label, role, channels, rounds } }): Turn<Measured> => ({
      name: `${runtime}: ${label}, ${channels} channels`,
      isOurs: role === "ours",
      rounds,
      measure: () => runOnce(command),
    })),
    LEAST_ROUNDS,
  );
  return { series: all.map(({ one }) => one) };
}

async function runOnce(command: readonly string[]): Promise<Measured> {
  await using program = new Lines(command);
  return JSON.parse(await program.next());
}

type Time = (measured: Measured) => number | undefined;

const TIMES: readonly (readonly [label: string, time: Time])[] = [
  ["first", ({ firstMs }) => firstMs ?? undefined],
  ["again", ({ againMs }) => againMs ?? undefined],
  ["after a cut", ({ restoreMs }) => restoreMs ?? undefined],
];

function render({ series }: SubscribeOutcome): string {
  const sizes = [...new Set(series.map(({ channels }) => channels))];
  return [
    "A connection is there and has one channel. Then all names are subscribed to in one call, until the client says that " +
    "they are: for the first time in a new process, and again when some unsubscribing and subscribing has had everything " +
    "compiled (the median of the last three, with 100,000 names of one). Then `CLIENT KILL TYPE pubsub` cuts the connection, until the client says that it has all of them again " +
    "(ioredis, iovalkey and Bun's own client never say: until the server has them). What the server has is compared with " +
    "the names each time: `no` means that it had not when the client said so, or not within 3 seconds after the cut. All clients reconnect as soon as they can be told to; for Earshot that is " +
    "1 ms from the cut on, of which nothing is taken off. A ratio is that of one round, to the raw socket with a command for each name. " +
    "The floor keeps an object for each name, sends a command for each 512, and compares each acknowledgement with the " +
    "name that is due, in one file with no layers.",
    ...sizes.map((channels) => sizeTable(channels, series.filter((one) => one.channels === channels))),
  ].join("\n\n");
}

function sizeTable(channels: number, all: readonly Series[]): string {
  const runtimes = [...new Set(all.map(({ runtime }) => runtime))];
  return table([
    [`${whole(channels)} channels, ms`, ...TIMES.flatMap(([label]) => [label, "ratio"])],
    ...runtimes.flatMap((runtime) => rows(runtime, all.filter((one) => one.runtime === runtime))),
  ]);
}

function rows(runtime: string, all: readonly Series[]): string[][] {
  const of = (role: Series["role"]) => all.filter((one) => one.role === role);
  const clients = all.map((one) => [
    `${runtime}: ${one.label}`,
    ...TIMES.flatMap(([, time]) => [
      show(each(one.rounds, time), whole).replaceAll("failed", "no"),
      one.role === "raw" ? "" : show(toBest(of("raw"), one, time), times),
    ]),
  ]);
  const overPeers = of("ours").map((one) => [
    `${runtime}: Earshot to the fastest peer`,
    ...TIMES.flatMap(([, time]) => ["", show(toBest(of("peer"), one, time), times)]),
  ]);
  const overFloor = of("ours").filter(() => of("floor").length > 0).map((one) => [
    `${runtime}: Earshot to the floor`,
    ...TIMES.flatMap(([, time]) => ["", show(toBest(of("floor"), one, time), times)]),
  ]);
  return [...clients, ...overPeers, ...overFloor];
}

/** Over that of the fastest of some others. */
function toBest(others: readonly Series[], one: Series, time: Time): number[] {
  return ratios(each(one.rounds, time), best(others.map(({ rounds }) => each(rounds, time)), "least"));
}

function verdicts({ series }: SubscribeOutcome): Verdict[] {
  return series.filter(({ role }) => role === "ours").flatMap((one) => {
    const all = series.filter(({ runtime, channels }) => runtime === one.runtime && channels === one.channels);
    return TIMES.flatMap(([label, time]) => {
      const what = `${whole(one.channels)} channels, ${label}, to the`;
      const aim = (whose: string, limit: number): Aim => ({
        what: `${what} ${whose}`,
        limit,
        is: "at most",
        format: times,
      });
      const role = (role: Series["role"]) => all.filter((other) => other.role === role);
      const [floor] = role("floor");
      const judgeTo = (whose: string, limit: number, others: readonly Series[]) => {
        const least = floor === undefined ? [] : toBest(others, floor, time);
        return judge(aim(whose, limit), one.runtime, toBest(others, one, time), least);
      };
      return [...judgeTo("raw socket's", 1.2, role("raw")), ...judgeTo("fastest peer's", 1, role("peer"))];
    });
  });
}
