/**
 * Many channels at once over a real Redis: how long it takes to subscribe, and to have them again after a cut.
 *
 * @module
 */

import type { SubscribeOutcome as Measured, SubscribeTask } from "../consumers/subscribe_run.ts";
import { Lines } from "../process.ts";
import type { Runtime } from "../runtimes.ts";
import { startRedis } from "../server.ts";
import { ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";

const CHANNELS: readonly number[] = [10_000, 100_000];

interface Client {
  readonly label: string;
  /** Of `consumers/`, and what else it is told. */
  readonly program: string;
  readonly word?: string;
  readonly role: "ours" | "peer" | "raw";
  /** Where it runs; everywhere without. */
  readonly only?: Runtime["name"];
  /** Left out of a quick look. */
  readonly slow?: boolean;
}

const CLIENTS: readonly Client[] = [
  { label: "raw socket, a command for each name", program: "subscribe_raw", role: "raw" },
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

interface Series {
  readonly runtime: string;
  readonly label: string;
  readonly role: Client["role"] | "information";
  readonly channels: number;
  readonly rounds: Measured[];
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
};

async function measure(ground: Ground): Promise<SubscribeOutcome> {
  const { plan, runtimes, log } = ground;
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
  for (let round = 1; round <= plan.rounds; round++) {
    log(`round ${round} of ${plan.rounds}`);
    for (const { command, one } of all) {
      await using program = new Lines(command);
      one.rounds.push(JSON.parse(await program.next()));
    }
  }
  return { series: all.map(({ one }) => one) };
}

type Time = (measured: Measured) => number | undefined;

const TIMES: readonly (readonly [label: string, time: Time])[] = [
  ["first", ({ firstMs }) => firstMs ?? undefined],
  ["again", ({ againMs }) => againMs ?? undefined],
  ["after a cut", ({ restoreMs, delayMs }) => restoreMs === null ? undefined : restoreMs - delayMs],
];

function render({ series }: SubscribeOutcome): string {
  const sizes = [...new Set(series.map(({ channels }) => channels))];
  return [
    "A connection is there and has one channel. Then all names are subscribed to in one call, until the client says that " +
    "they are: for the first time in a new process, and again when some unsubscribing and subscribing has had everything " +
    "compiled. Then `CLIENT KILL TYPE pubsub` cuts the connection, until the client says that it has all of them again " +
    "(ioredis, iovalkey and Bun's own client never say: until the server has them). What the server has is compared with " +
    "the names each time: `no` means that it had not when the client said so, or not within 3 seconds after the cut. All clients reconnect as soon as they can be told to; Earshot's time is without the delay of " +
    "1 ms that is the least it can be told. A ratio is that of one round, to the raw socket with a command for each name.",
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
    ...TIMES.flatMap(([, time]) => {
      const own = one.rounds.map(time);
      const ms = own.filter((value) => value !== undefined);
      const text = ms.length < own.length ? "no" : show(ms, whole);
      return [text, one.role === "raw" ? "" : show(ratios(own, least(of("raw"), time)), times)];
    }),
  ]);
  const overPeers = of("ours").map(({ rounds }) => [
    `${runtime}: Earshot to the fastest peer`,
    ...TIMES.flatMap(([, time]) => ["", show(ratios(rounds.map(time), least(of("peer"), time)), times)]),
  ]);
  return [...clients, ...overPeers];
}

/** The least of each round. */
function least(all: readonly Series[], time: Time): number[] {
  const rounds = all[0]?.rounds.length ?? 0;
  return Array.from(
    { length: rounds },
    (_, round) => Math.min(...all.map((one) => time(one.rounds[round]!) ?? Infinity)),
  );
}
