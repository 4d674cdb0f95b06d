/**
 * Where the time of a subscriber to the firehose goes.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Task } from "../consumers/tally.ts";
import { type CpuProfile, shares } from "../cpu_profile.ts";
import type { Cell } from "../frames.ts";
import { Lines } from "../process.ts";
import { Firehose } from "../run.ts";
import { BUILD, type Runtime } from "../runtimes.ts";
import { decimals, table } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";

const PROGRAMS = [["earshot", "`for await`"], ["earshot_batches", "`batches()`"]] as const;
const SMALL: Cell = { payloadBytes: 16, channels: 1 };
const CELLS: readonly Cell[] = [SMALL, { payloadBytes: 16, channels: 1_000 }, { payloadBytes: 1_024, channels: 1 }];
const STRIDE = 1024;
const GRACE_MS = 20_000;
/** A sample a millisecond: so that their shares are more than chance. */
const LEAST_MS = 1_000;
/** Less is left out of the tables, where it is so little everywhere. */
const LEAST_SHARE = 0.005;

/** One profile. */
interface Profile {
  readonly runtime: string;
  readonly how: string;
  readonly cell: Cell;
  /** The part of the time, by room. */
  readonly shares: Readonly<Record<string, number>>;
}

/** Everything that was measured. */
export interface ProfileOutcome {
  readonly profiles: readonly Profile[];
}

/** The suite. */
export const suite: Suite<ProfileOutcome> = {
  name: "profile",
  title: "Where the time of a subscriber goes",
  programs: PROGRAMS.map(([program]) => program),
  run: measure,
  render,
  verdicts: () => [],
};

async function measure({ plan, runtimes, missing, counted }: Ground): Promise<ProfileOutcome> {
  await using firehose = await Firehose.start(missing);
  const profiles: Profile[] = [];
  for (const cell of plan.quick ? [SMALL] : CELLS) {
    for (const runtime of runtimes) {
      for (const [program, how] of plan.quick ? PROGRAMS.slice(0, 1) : PROGRAMS) {
        const measureMs = plan.quick ? plan.measureMs : Math.max(plan.measureMs, LEAST_MS);
        const task = { channels: cell.channels, warmUpMs: plan.warmUpMs, measureMs };
        const found = await profiled(runtime, program, cell, firehose, task);
        profiles.push({ runtime: runtime.name, how, cell, shares: Object.fromEntries(found) });
      }
    }
  }
  counted(1);
  return { profiles };
}

/** Runs a program once, to the end of its own: it writes its profile then. */
async function profiled(
  runtime: Runtime,
  program: string,
  cell: Cell,
  firehose: Firehose,
  times: Pick<Task, "channels" | "warmUpMs" | "measureMs">,
): Promise<Map<string, number>> {
  const folder = await Deno.makeTempDir({ dir: fileURLToPath(BUILD), prefix: "profile-" });
  try {
    const task: Task = { ...times, port: firehose.port, payload: "text", stride: STRIDE };
    await firehose.load(cell);
    await using reader = new Lines([...runtime.command(program, { profileTo: folder }), JSON.stringify(task)]);
    if (await reader.next(GRACE_MS) !== "ready") throw new Error(`${program} is not ready`);
    await firehose.go();
    await reader.next(task.warmUpMs + task.measureMs + GRACE_MS);
    await reader.next(GRACE_MS).catch(() => {});
    const [file] = [...Deno.readDirSync(folder)];
    if (file === undefined) throw new Error(`${runtime.name} wrote no profile of ${program}`);
    const profile: CpuProfile = JSON.parse(await Deno.readTextFile(`${folder}/${file.name}`));
    const bundle = runtime.name === "Deno"
      ? undefined
      : await Deno.readTextFile(fileURLToPath(new URL(`${program}.mjs`, BUILD)));
    return shares(profile, task.measureMs, bundle);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function render({ profiles }: ProfileOutcome): string {
  const cells = [...new Set(profiles.map(({ cell }) => JSON.stringify(cell)))].map((text): Cell => JSON.parse(text));
  return [
    "Percent of the time in which the thread of the subscriber was busy, by the room in whose code it was; one run each, " +
    "a sample a millisecond, from the runtime's own profiler, which is not exact about what was inlined. What is native " +
    "is the kernel's reading, `TextDecoder` and other calls of the runtime, and promises.",
    ...cells.map((cell) =>
      cellTable(cell, profiles.filter((one) => JSON.stringify(one.cell) === JSON.stringify(cell)))
    ),
  ].join("\n\n");
}

function cellTable({ payloadBytes, channels }: Cell, profiles: readonly Profile[]): string {
  const most = new Map<string, number>();
  for (const { shares } of profiles) {
    for (const [room, share] of Object.entries(shares)) most.set(room, Math.max(most.get(room) ?? 0, share));
  }
  const rooms = [...most].filter(([, share]) => share >= LEAST_SHARE).sort(([, a], [, b]) => b - a);
  const percent = decimals(0);
  return table([
    [`${payloadBytes} B, ${channels.toLocaleString("en")} ch.`, ...profiles.map((one) => `${one.runtime}, ${one.how}`)],
    ...rooms.map(([room]) => [room, ...profiles.map(({ shares }) => percent(100 * (shares[room] ?? 0)))]),
  ]);
}
