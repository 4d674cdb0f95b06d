/**
 * How many messages a second reach a consumer from a firehose that is never what limits it.
 *
 * @module
 */

import type { Task } from "../consumers/tally.ts";
import { type Cell, cellName, frameBytes } from "../frames.ts";
import { buildNative, hiredisVersion } from "../native.ts";
import { Firehose, type Measurement, type Reader, run } from "../run.ts";
import type { Runtime } from "../runtimes.ts";
import { decimals, each, ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { judge, type Verdict } from "../verdict.ts";

const CELLS: readonly Cell[] = [
  { payloadBytes: 16, channels: 1 },
  { payloadBytes: 16, channels: 1_000 },
  { payloadBytes: 128, channels: 1 },
  { payloadBytes: 128, channels: 1_000 },
  { payloadBytes: 1_024, channels: 1 },
  { payloadBytes: 1_024, channels: 1_000 },
  { payloadBytes: 65_536, channels: 1 },
];

/** The ends of the range of texts. */
const QUICK_CELLS = new Set([{ payloadBytes: 16, channels: 1 }, { payloadBytes: 1_024, channels: 1 }].map(cellName));

/** From here on clients are asked for bytes: nobody reads text by the 64 KiB. */
const LARGE_BYTES = 65_536;

type Place = Runtime["name"] | "C";

/** Floors are the least that hands out the same, as Earshot does in two ways. */
type Role = "for await" | "batches" | "peer" | "raw" | "floor of for await" | "floor of batches";

/** On Deno everybody is warmed up so many times as long: its compilers work for more than a second, on a core that the firehose needs. */
const DENO_WARM_UP = 2;

/** What takes part. */
interface Entrant {
  readonly client: string;
  readonly role: Role;
  readonly program: string;
  readonly places: readonly Place[];
  /** What payloads it is asked for in a cell; undefined: it does not take part. */
  payload(cell: Cell): Task["payload"] | undefined;
  /** Takes part in a quick look. */
  readonly quick: boolean;
}

const EVERYWHERE: readonly Place[] = ["Deno", "Node", "Bun"];
const PLACES: readonly Place[] = [...EVERYWHERE, "C"];
const HIREDIS = "hiredis, synchronous";

const isLarge = ({ payloadBytes }: Cell) => payloadBytes >= LARGE_BYTES;
const asFits = (cell: Cell) => isLarge(cell) ? "bytes" : "text";
const always = (payload: Task["payload"]) => () => payload;
const whenSmall = (cell: Cell) => isLarge(cell) ? undefined : "text";
/** Far behind the others in small cells: one of each size will do. */
const seldom = (cell: Cell) => cell.channels > 1 || cell.payloadBytes === 128 ? undefined : asFits(cell);
const whenLarge = (cell: Cell) => isLarge(cell) ? "bytes" : undefined;
/** So slow that one cell tells all. */
const once = ({ payloadBytes, channels }: Cell) => payloadBytes === 16 && channels === 1 ? "text" : undefined;

const ENTRANTS: readonly Entrant[] = [
  entrant("Earshot, `for await`", "for await", "earshot", EVERYWHERE, asFits, true),
  entrant("node-redis, text", "peer", "node_redis", EVERYWHERE, whenSmall, false),
  entrant("node-redis, Buffer", "peer", "node_redis", EVERYWHERE, always("bytes"), true),
  entrant("Earshot, `batches()`", "batches", "earshot_batches", EVERYWHERE, asFits, true),
  entrant("ioredis 5", "peer", "ioredis", EVERYWHERE, asFits, true),
  entrant("ioredis 6", "peer", "ioredis6", EVERYWHERE, seldom, false),
  entrant("iovalkey", "peer", "iovalkey", EVERYWHERE, asFits, false),
  entrant("Valkey GLIDE", "peer", "valkey_glide", ["Node"], once, false),
  entrant("Bun's own client", "peer", "bun_redis", ["Bun"], always("text"), true),
  entrant("floor, `for await`", "floor of for await", "floor", EVERYWHERE, whenSmall, false),
  entrant("floor, batches", "floor of batches", "floor_batches", EVERYWHERE, whenSmall, false),
  entrant("floor, bytes", "floor of for await", "floor_bytes", EVERYWHERE, whenLarge, false),
  entrant("raw socket", "raw", "drain", EVERYWHERE, always("bytes"), true),
  entrant("raw socket, `Bun.connect`", "raw", "drain_bun", ["Bun"], always("bytes"), true),
  entrant(HIREDIS, "peer", "hiredis_sync", ["C"], always("bytes"), true),
  entrant("hiredis, asynchronous", "peer", "hiredis_async", ["C"], always("bytes"), false),
  entrant("raw socket", "raw", "drain", ["C"], always("bytes"), true),
];

function entrant(
  client: string,
  role: Role,
  program: string,
  places: readonly Place[],
  payload: Entrant["payload"],
  quick: boolean,
): Entrant {
  return { client, role, program, places, payload, quick };
}

/** One client, in one place, in one cell: a measurement each round. */
interface Series {
  readonly place: Place;
  readonly client: string;
  readonly role: Role;
  readonly cell: Cell;
  readonly payload: Task["payload"];
  readonly rounds: (Measurement | null)[];
}

interface Outcome {
  readonly cells: readonly Cell[];
  readonly series: readonly Series[];
}

/** Measures every client in every cell on every runtime, as often as there are rounds. */
async function measure(ground: Ground): Promise<Outcome> {
  const { warmUpMs, measureMs, quick } = ground.plan;
  const cells = CELLS.filter((cell) => !quick || QUICK_CELLS.has(cellName(cell)));
  const entrants = ENTRANTS.filter((entrant) => entrant.quick || !quick);
  const readers = new Map<Entrant, Map<Place, Reader>>();
  for (const entrant of entrants) readers.set(entrant, await prepare(entrant, ground));
  const all = cells.flatMap((cell) =>
    PLACES.flatMap((place) =>
      entrants.flatMap((entrant) => {
        const payload = entrant.payload(cell);
        const reader = readers.get(entrant)?.get(place);
        if (payload === undefined || reader === undefined) return [];
        const { client, role } = entrant;
        const series: Series = { place, client, role, cell, payload, rounds: [] };
        return [{ series, reader }];
      })
    )
  );
  const warmUp = (place: Place) => place === "Deno" ? DENO_WARM_UP * warmUpMs : warmUpMs;
  await using firehose = await Firehose.start(ground.missing);
  await takeTurns(
    ground,
    all.map(({ series: { place, client, role, cell, payload, rounds }, reader }): Turn<Measurement> => ({
      name: `${place}: ${client}, ${cellName(cell)}`,
      isOurs: role !== "peer" && role !== "raw",
      rounds,
      measure: () => run({ cell, firehose, reader, payload, warmUpMs: warmUp(place), measureMs }),
    })),
  );
  return { cells, series: all.map(({ series }) => series) };
}

/** How an entrant is started in each of its places that are here. */
async function prepare({ client, program, places, role }: Entrant, ground: Ground): Promise<Map<Place, Reader>> {
  const readers = new Map<Place, Reader>();
  const raw = role === "raw";
  for (const { name, command } of ground.runtimes) {
    if (places.includes(name)) readers.set(name, { command: command(program), native: false, raw });
  }
  if (places.includes("C")) {
    const native = await buildNative(program, { hiredis: !raw });
    if ("missing" in native) ground.missing(`${client}, in C: ${native.missing}`);
    else readers.set("C", { command: native.command, native: true, raw });
    const version = raw ? undefined : await hiredisVersion();
    if (version !== undefined) ground.version("hiredis", version);
  }
  return readers;
}

/** Messages a second of those series of one place and cell, round by round; of several the most of each round. */
function rates(
  { series }: Outcome,
  place: Place,
  cell: Cell,
  choose: (series: Series) => boolean,
): (number | undefined)[] {
  const chosen = series.filter((one) => one.place === place && sameCell(one.cell, cell) && choose(one));
  const rounds = Math.max(0, ...chosen.map(({ rounds }) => rounds.length));
  return Array.from(
    { length: rounds },
    (_, round) => {
      const all = chosen.flatMap(({ rounds }) => rounds[round]?.perSecond ?? []);
      return all.length === 0 ? undefined : Math.max(...all);
    },
  );
}

function sameCell(a: Cell, b: Cell): boolean {
  return a.payloadBytes === b.payloadBytes && a.channels === b.channels;
}

function render(outcome: Outcome): string {
  return [
    "Thousands of messages a second that reach one consumer, each in a process of its own that reads the firehose; the " +
    "median of all rounds, and the least and the most. Ratios are between runs of one round. Payloads are text, and " +
    "bytes at 64 KiB and where it says Buffer; peers call back. The raw socket is no client: its bytes are counted as " +
    "the messages that they hold. On Deno everybody is warmed up twice as long.",
    ...PLACES.map((place) => {
      const isHere = outcome.series.some((series) => series.place === place);
      return `**${place}**\n\n${isHere ? tables(outcome, place) : "Missing, as is said above."}`;
    }),
  ].join("\n\n");
}

function tables(outcome: Outcome, place: Place): string {
  const { cells, series } = outcome;
  const clients = [...new Set(series.filter((one) => one.place === place).map(({ client }) => client))];
  const of = (client: string) => (one: Series) => one.client === client;
  const role = (role: Series["role"]) => (one: Series) => one.role === role;
  const row = (label: string, text: (cell: Cell) => string) => [label, ...cells.map(text)];
  const head = (label: string) => row(label, cellName);
  const speeds = [
    head("thousand messages a second"),
    ...clients.map((client) =>
      row(client, (cell) => show(rates(outcome, place, cell, of(client)), (rate) => whole(rate / 1e3)))
    ),
    row("raw socket, GB/s", (cell) => {
      const raw = rates(outcome, place, cell, role("raw"));
      return show(raw, (rate) => decimals(1)(rate * frameBytes(cell) / 1e9));
    }),
  ];
  const compare = (label: string, ours: Series["role"], theirs: (cell: Cell) => (number | undefined)[]) =>
    row(label, (cell) => show(ratios(rates(outcome, place, cell, role(ours)), theirs(cell)), times));
  const fastest = (cell: Cell) => rates(outcome, place, cell, role("peer"));
  const hiredis = (cell: Cell) => rates(outcome, "C", cell, of(HIREDIS));
  const raw = (cell: Cell) => rates(outcome, place, cell, role("raw"));
  const ratioRows = [
    head("ratio"),
    ...(["for await", "batches"] as const).flatMap((ours) => [
      compare(`${ours} : fastest peer`, ours, fastest),
      compare(`${ours} : ${HIREDIS}`, ours, hiredis),
      compare(`${ours} : raw socket`, ours, raw),
      compare(`${ours} : its floor`, ours, (cell) => rates(outcome, place, cell, role(FLOORS[ours]))),
    ]),
  ];
  const cpu = [
    head("CPU of the reader, µs a message"),
    ...clients.map((client) =>
      row(client, (cell) => {
        const found = series.find((one) => one.place === place && one.client === client && sameCell(one.cell, cell));
        return show(
          each(found?.rounds ?? [], ({ cpuMicros }) => cpuMicros),
          decimals(cell.payloadBytes < 1024 ? 3 : 2),
        );
      })
    ),
  ];
  return [speeds, ...(place === "C" ? [] : [ratioRows]), cpu].map(table).join("\n\n");
}

/** How many times the fastest peer of the same runtime, and hiredis; the text of a target says so for texts alone. */
const AIMS = [
  { ours: "for await", peer: 2.5, bunAt1KiB: 1.3, hiredis: 1 },
  { ours: "batches", peer: 4, bunAt1KiB: 1.4, hiredis: 1.5 },
] as const;
const OF_RAW = 0.8;

const FLOORS = { "for await": "floor of for await", batches: "floor of batches" } as const satisfies Partial<
  Record<Role, Role>
>;

function verdicts(outcome: Outcome): Verdict[] {
  return EVERYWHERE.flatMap((place) =>
    outcome.cells.flatMap((cell) => {
      const of = (choose: (series: Series) => boolean) => rates(outcome, place, cell, choose);
      const role = (role: Role) => of((one) => one.role === role);
      const judgeTo = (what: string, limit: number, ours: keyof typeof FLOORS, theirs: (number | undefined)[]) =>
        judge(
          { what: `${what}, ${cellName(cell)}`, limit, is: "at least", format: times },
          place,
          ratios(role(ours), theirs),
          ratios(role(FLOORS[ours]), theirs),
        );
      if (isLarge(cell)) return judgeTo("for await : raw socket", OF_RAW, "for await", role("raw"));
      const hired = rates(outcome, "C", cell, (one) => one.client === HIREDIS);
      return AIMS.flatMap(({ ours, peer, bunAt1KiB, hiredis }) => [
        ...judgeTo(
          `${ours} : fastest peer`,
          place === "Bun" && cell.payloadBytes === 1_024 ? bunAt1KiB : peer,
          ours,
          role("peer"),
        ),
        ...judgeTo(`${ours} : ${HIREDIS}`, hiredis, ours, hired),
      ]);
    })
  );
}

/** Throughput from a firehose. */
export const suite: Suite<Outcome> = {
  name: "throughput",
  title: "Throughput from a firehose",
  programs: [...new Set(ENTRANTS.filter(({ places }) => !places.includes("C")).map(({ program }) => program))],
  run: measure,
  render,
  verdicts,
};
