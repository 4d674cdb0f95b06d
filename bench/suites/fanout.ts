/**
 * One connection and ten thousand local streams on one channel.
 *
 * @module
 */

import type { FanoutOutcome as Measured, FanoutTask } from "../consumers/fanout.ts";
import { Lines } from "../process.ts";
import { decimals, each, ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { judge, type Verdict } from "../verdict.ts";

const STREAMS = 10_000;
/** One message at a time wakes every loop for each; many at a time show what a delivery costs without that. */
const BURSTS: readonly number[] = [1, 64];

/** Everything that was measured: a measurement of each round. */
export interface FanoutOutcome {
  readonly streams: number;
  readonly bursts: readonly number[];
  readonly runtimes: readonly { readonly runtime: string; readonly rounds: (Measured | null)[] }[];
}

/** The suite. */
export const suite: Suite<FanoutOutcome> = {
  name: "fanout",
  title: "One connection, many local streams",
  programs: ["fanout"],
  run: measure,
  render,
  verdicts,
};

async function measure(ground: Ground): Promise<FanoutOutcome> {
  const { plan, runtimes } = ground;
  const { warmUpMs, measureMs } = plan;
  const bursts = plan.quick ? BURSTS.slice(0, 1) : BURSTS;
  const task: FanoutTask = { streams: STREAMS, bursts, warmUpMs, measureMs };
  const turns = runtimes.map(({ name, command }): Turn<Measured> => ({
    name,
    isOurs: true,
    rounds: [],
    measure: () => runOnce([...command("fanout"), JSON.stringify(task)]),
  }));
  await takeTurns(ground, turns);
  return { streams: STREAMS, bursts, runtimes: turns.map(({ name, rounds }) => ({ runtime: name, rounds })) };
}

async function runOnce(command: readonly string[]): Promise<Measured> {
  await using program = new Lines(command);
  return checked(JSON.parse(await program.next()));
}

/** The program has looked at what every stream saw; here at how often it was decoded. */
function checked(measured: Measured): Measured {
  const { published, decoded } = measured;
  if (decoded === published) return measured;
  throw new Error(`Payloads must be decoded once for all streams: ${decoded} times for ${published} messages`);
}

function render({ streams, bursts, runtimes }: FanoutOutcome): string {
  const row = (label: string, of: (measured: Measured) => number, format: (value: number) => string) => [
    label,
    ...runtimes.map(({ rounds }) => show(each(rounds, of), format)),
  ];
  const ratio = (label: string, over: (measured: Measured) => number, under: (measured: Measured) => number) => [
    label,
    ...runtimes.map(({ rounds }) => show(ratios(each(rounds, over), each(rounds, under)), times)),
  ];
  const thousands = (value: number) => whole(value / 1e3);
  const head = (label: string) => [label, ...runtimes.map(({ runtime }) => runtime)];
  return [
    `${whole(streams)} local streams on one channel, each read by a \`for await\` of its own; the next messages are ` +
    "published when all have read the last ones. They come out of memory, in one read, in the same process: one message " +
    `for ${whole(streams)} deliveries, and far more could come than that. The floor is the same loops over the least ` +
    "queue that can wake them.",
    table([
      head("thousand deliveries a second"),
      ...bursts.flatMap((burst, index) => {
        const what = burst === 1 ? "a message at a time" : `${burst} messages at a time`;
        return [
          row(`Earshot, ${what}`, ({ perSecond }) => perSecond[index]!, thousands),
          row(`floor, ${what}`, ({ floorPerSecond }) => floorPerSecond[index]!, thousands),
          ratio(`ratio, ${what}`, ({ perSecond }) => perSecond[index]!, ({ floorPerSecond }) => floorPerSecond[index]!),
        ];
      }),
      row(
        "the source alone, as deliveries to so many streams",
        ({ sourcePerSecond }) => sourcePerSecond * streams,
        thousands,
      ),
      row("times that a payload was decoded", ({ decoded, published }) => decoded / published, decimals(0)),
    ]),
    `How long it takes to make ${
      whole(streams)
    } streams, until each has its first message, and to leave their loops, ` +
    "until each is cancelled.",
    table([
      head("milliseconds"),
      row("make", ({ makeMs }) => makeMs, whole),
      row("cancel", ({ cancelMs }) => cancelMs, whole),
    ]),
  ].join("\n\n");
}

/** Deliveries a second. */
const LEAST = 2e6;

function verdicts({ streams, bursts, runtimes }: FanoutOutcome): Verdict[] {
  return runtimes.flatMap(({ runtime, rounds }) => [
    ...bursts.flatMap((burst, index) =>
      judge(
        {
          what: `deliveries a second to ${whole(streams)} streams, messages at a time: ${burst}`,
          limit: LEAST,
          is: "at least",
          format: (value) => `${decimals(2)(value / 1e6)} M`,
        },
        runtime,
        each(rounds, ({ perSecond }) => perSecond[index]),
      )
    ),
    ...judge(
      { what: "times that a payload was decoded", limit: 1, is: "at most", format: decimals(0) },
      runtime,
      each(rounds, ({ decoded, published }) => decoded / published),
    ),
  ]);
}
