/**
 * What more of everything costs: many channels, and many bytes in small pieces.
 *
 * @module
 */

import type { OrderOutcome, OrderTask } from "../consumers/growth_order.ts";
import type { ParserOutcome, ParserTask } from "../consumers/growth_parser.ts";
import { Lines } from "../process.ts";
import { Firehose, run } from "../run.ts";
import type { Runtime } from "../runtimes.ts";
import { decimals, each, ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { judge, type Verdict } from "../verdict.ts";

const CHANNELS: readonly number[] = [1, 1_000, 10_000, 100_000];
const PAYLOAD_BYTES = 16;
const ORDERS: readonly OrderTask["order"][] = ["round robin", "shuffled"];
const READERS: readonly OrderTask["reader"][] = ["Earshot", "floor"];
const PARSER: ParserTask = { pieceBytes: [1, 7, 64, 1_500, 65_536], factors: [1, 2, 4], largeBytes: 1024 * 1024 };
const QUICK_PARSER: ParserTask = { pieceBytes: [64, 1_500], factors: [1, 4], largeBytes: 256 * 1024 };
/** The measurements out of memory have no socket in them, and vary less. */
const MOST_ROUNDS = 2;
const KINDS = ["small", "large"] as const;
/** What the numbers of channels are measured by. */
const BASE = 1_000;
const MANY = 100_000;

/** Messages a second, for each number of channels, in each round. */
interface ByChannels {
  readonly runtime: string;
  readonly label: string;
  readonly reader: OrderTask["reader"];
  readonly channels: readonly { readonly count: number; readonly rounds: (number | null)[] }[];
}

/** Everything that was measured. */
export interface GrowthOutcome {
  readonly throughput: readonly ByChannels[];
  readonly task: ParserTask;
  readonly parser: readonly { readonly runtime: string; readonly rounds: (ParserOutcome | null)[] }[];
}

/** The suite. */
export const suite: Suite<GrowthOutcome> = {
  name: "growth",
  title: "What more channels, and more and smaller pieces cost",
  programs: ["earshot", "growth_order", "growth_parser"],
  run: measure,
  render,
  verdicts,
};

type Measure = (channels: number) => Promise<number>;

async function measure(ground: Ground): Promise<GrowthOutcome> {
  const { plan, runtimes, missing } = ground;
  const { warmUpMs, measureMs, quick } = plan;
  await using firehose = await Firehose.start(missing);
  const fromSocket = (runtime: Runtime): Measure => async (channels) => {
    const reader = { command: runtime.command("earshot"), native: false, raw: false };
    const cell = { payloadBytes: PAYLOAD_BYTES, channels };
    return (await run({ cell, firehose, reader, payload: "text", warmUpMs, measureMs })).perSecond;
  };
  const fromMemory =
    (runtime: Runtime, order: OrderTask["order"], reader: OrderTask["reader"]): Measure => async (channels) => {
      const task: OrderTask = { channels, order, reader, payloadBytes: PAYLOAD_BYTES, warmUpMs, measureMs };
      return await ask<OrderOutcome>(runtime, "growth_order", task);
    };
  const few = quick ? [BASE, MANY] : CHANNELS;
  const all = runtimes.flatMap((runtime) => [
    series(runtime, "firehose, round robin", "Earshot", few, Infinity, fromSocket(runtime)),
    ...(quick ? [] : ORDERS).flatMap((order) =>
      READERS.map((reader) =>
        series(runtime, `memory, ${order}`, reader, [BASE, MANY], MOST_ROUNDS, fromMemory(runtime, order, reader))
      )
    ),
  ]);
  const task = quick ? QUICK_PARSER : PARSER;
  const parser = runtimes.map((runtime) => ({ runtime: runtime.name, rounds: [] as (ParserOutcome | null)[] }));
  await takeTurns<number | ParserOutcome>(ground, [
    ...all.flatMap(({ one: { runtime, label, reader, channels }, measure, most }) =>
      channels.map(({ count, rounds }): Turn<number> => ({
        name: `${runtime}: ${reader}, ${label}, ${count} channels`,
        isOurs: true,
        rounds,
        most,
        measure: () => measure(count),
      }))
    ),
    ...runtimes.map((runtime, index): Turn<ParserOutcome> => ({
      name: `${runtime.name}: the parser`,
      isOurs: true,
      rounds: parser[index]!.rounds,
      most: MOST_ROUNDS,
      measure: () => ask<ParserOutcome>(runtime, "growth_parser", task),
    })),
  ]);
  return { throughput: all.map(({ one }) => one), task, parser };
}

function series(
  { name: runtime }: Runtime,
  label: string,
  reader: OrderTask["reader"],
  channels: readonly number[],
  most: number,
  measure: Measure,
) {
  const one: ByChannels = { runtime, label, reader, channels: channels.map((count) => ({ count, rounds: [] })) };
  return { one, measure, most };
}

async function ask<T>(runtime: Runtime, program: string, task: unknown): Promise<T> {
  await using process = new Lines([...runtime.command(program), JSON.stringify(task)]);
  return JSON.parse(await process.next());
}

function render({ throughput, task, parser }: GrowthOutcome): string {
  return [
    `\`for await\` over more and more channels, payloads of ${PAYLOAD_BYTES} bytes, thousand messages a second, and the ` +
    `ratio of ${whole(MANY)} channels to ${
      whole(BASE)
    } in the same round. The firehose lets channels take turns by their ` +
    "number. Out of memory there is no socket, whose part is the same for all; the frames are in that order, or " +
    "shuffled, so that no name is near the last one. The floor there has the names in the order in which they come, " +
    "and makes a message and a promise for each.",
    channelTable(throughput),
    "Nanoseconds a byte when the bytes come out of memory in pieces of a given size: many messages of 16 bytes, and " +
    `messages of ${
      whole(task.largeBytes / 1024)
    } KiB times the factor. The ratio is that of the largest factor to the ` +
    "smallest in the same round: 1 means that the time grows as the bytes do.",
    ...parser.map(({ runtime, rounds }) => parserTable(runtime, task, rounds)),
  ].join("\n\n");
}

/** Messages a second with so many channels. */
function ofCount({ channels }: ByChannels, count: number): (number | undefined)[] {
  return each(channels.find((one) => one.count === count)?.rounds ?? [], (perSecond) => perSecond);
}

function manyToBase(one: ByChannels): number[] {
  return ratios(ofCount(one, MANY), ofCount(one, BASE));
}

function channelTable(all: readonly ByChannels[]): string {
  const counts = [...new Set(all.flatMap(({ channels }) => channels.map(({ count }) => count)))].sort((a, b) => a - b);
  return table([
    ["channels", ...counts.map(whole), "ratio"],
    ...all.map((one) => [
      `${one.runtime}: ${one.label}${one.reader === "floor" ? ", floor" : ""}`,
      ...counts.map((count) => show(ofCount(one, count), (perSecond) => whole(perSecond / 1e3))),
      show(manyToBase(one), times),
    ]),
  ]);
}

function parserTable(
  runtime: string,
  { pieceBytes, factors }: ParserTask,
  rounds: readonly (ParserOutcome | null)[],
): string {
  const columns = KINDS.flatMap((kind) => {
    const at = (row: number, column: number) => each(rounds, (round) => round[kind][row]![column]!);
    return [
      ...factors.map((factor, column) => ({
        head: `${kind} ×${factor}`,
        text: (row: number) => show(at(row, column), (ns) => decimals(ns < 10 ? 1 : 0)(ns)),
      })),
      {
        head: `${kind}, ratio`,
        text: (row: number) => show(ratios(at(row, factors.length - 1), at(row, 0)), times),
      },
    ];
  });
  return table([
    [`${runtime}, bytes a piece`, ...columns.map(({ head }) => head)],
    ...pieceBytes.map((size, row) => [whole(size), ...columns.map(({ text }) => text(row))]),
  ]);
}

/** Four times as many bytes take four times as long where it is linear, and sixteen times where it is quadratic. */
const LINEAR = 2;

function verdicts({ throughput, task: { pieceBytes, factors }, parser }: GrowthOutcome): Verdict[] {
  const channels = throughput.filter(({ reader }) => reader === "Earshot").flatMap((one) =>
    judge(
      { what: `${whole(MANY)} channels to ${whole(BASE)}, ${one.label}`, limit: 0.8, is: "at least", format: times },
      one.runtime,
      manyToBase(one),
      throughput.filter(({ runtime, label, reader }) =>
        reader === "floor" && runtime === one.runtime && label === one.label
      ).flatMap(manyToBase),
    )
  );
  const last = factors.length - 1;
  const linear = parser.flatMap(({ runtime, rounds }) =>
    KINDS.flatMap((kind) =>
      judge(
        {
          what: `time a byte for ${factors[last]} times as many, ${kind} messages, worst of all sizes of pieces`,
          limit: LINEAR,
          is: "at most",
          format: times,
        },
        runtime,
        each(rounds, (round) =>
          Math.max(...pieceBytes.map((_, row) => round[kind][row]![last]! / round[kind][row]![0]!))),
      )
    )
  );
  return [...channels, ...linear];
}
