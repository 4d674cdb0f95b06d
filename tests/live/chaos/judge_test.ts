import { type ClientEvent, ConnectionError, type Gap } from "@earshot/redis";
import { assert, assertEquals } from "@std/assert";
import { test } from "../../support/test.ts";
import type { Evidence, Published, StreamEvidence, Taken } from "./evidence.ts";
import { judge } from "./judge.ts";

/** A message every 10 ms, to "kept" and "other" by turns. */
const published = Array.from({ length: 60 }, (_, number): Published => {
  const sent = 1_000 + 10 * number;
  return { number, verb: "PUBLISH", channel: number % 2 === 0 ? "kept" : "other", sent, done: sent + 1, certain: true };
});

function take(number: number, gap?: Gap): Taken {
  const { channel, sent } = published[number]!;
  return { kind: "channel", name: channel, channel, number, gap, at: sent + 2 };
}

function taken(from: number, to: number): Taken[] {
  return published.slice(from, to).map(({ number }) => take(number));
}

/** The connection was heard last with message 19, and all was back with 30; the queue dropped 40 to 42. */
const LOSS: Gap = { reasons: ["reconnect"], since: new Date(1_192), downMs: 104, dropped: 0 };
const OVERFLOW: Gap = { reasons: ["overflow"], since: new Date(1_400), downMs: 0, dropped: 3 };
const TAKEN = [...taken(0, 20), take(30, LOSS), ...taken(31, 40), take(43, OVERFLOW), ...taken(44, 60)];

function events(more: Partial<Record<"gap" | "overflow", ClientEvent[]>> = {}): ClientEvent[] {
  return [
    { type: "subscribed", kind: "channel", name: "kept", at: 900 },
    { type: "ready", at: 900 },
    { type: "disconnected", error: new ConnectionError("It is lost"), at: 1_200 },
    { type: "ready", at: 1_296 },
    ...more.gap ?? [{ type: "gap", gap: LOSS, at: 1_296 }],
    ...more.overflow ?? [{ type: "overflow", dropped: 3, at: 1_432 }],
  ];
}

function stream(more: Partial<StreamEvidence> = {}): StreamEvidence {
  const holds = ["kept", "other"].map((name) => ({ kind: "channel" as const, name, asked: 890, held: 900 }));
  return { label: "main", overflow: "drop-oldest", taken: TAKEN, holds, ended: "no", ...more };
}

function evidence(more: Partial<Evidence> = {}): Evidence {
  const [only = stream()] = more.streams ?? [];
  return {
    published,
    streams: [only],
    events: events(),
    kept: "kept",
    stats: { dropped: 3, delivered: only.taken.length },
    freezes: [{ at: 1_195, withinMs: 10 }],
    slackMs: 5,
    unreadMs: 0,
    ...more,
  };
}

/** What was taken, with one message other than it was. */
function but(number: number, change: (taken: Taken) => Taken[]): Evidence {
  return evidence({
    streams: [stream({ taken: TAKEN.flatMap((taken) => taken.number === number ? change(taken) : [taken]) })],
  });
}

test("A round in which every loss is told is good, and is counted", () => {
  const { violations, ...counts } = judge(evidence());
  assertEquals(violations, []);
  assertEquals(counts, { delivered: 47, dropped: 3, lost: 10, gaps: 2 });
});

const late = evidence({
  streams: [stream({
    taken: TAKEN.map((taken) => taken.number === 30 ? take(30) : taken.number === 31 ? take(31, LOSS) : taken),
  })],
});

const WRONGS: readonly (readonly [what: string, evidence: Evidence, says: string])[] = [
  ["a duplicate", but(10, (message) => [message, message]), '10 of "kept" came twice'],
  ["two that change places", but(10, (message) => [take(11), message]), '10 of "kept" came after 11'],
  ["a message that is missing", but(10, () => []), "1 missing before 11, and 0 told as dropped"],
  ["a loss that is not told", but(30, () => [take(30)]), "10 missing before 30, and 0 told as dropped"],
  ["a loss that is told too late", late, "5 missing before 30, and 0 told as dropped"],
  [
    "a gap that begins too late",
    but(30, () => [take(30, { ...LOSS, since: new Date(1_292), downMs: 4 })]),
    "missing before 30",
  ],
  [
    "a gap that begins too early",
    but(30, () => [take(30, { ...LOSS, since: new Date(1_000), downMs: 296 })]),
    "3 was heard 30 ms after",
  ],
  ["a gap that is too long", but(30, () => [take(30, { ...LOSS, downMs: 200 })]), "ends after it came"],
  [
    "a gap out of nothing",
    but(10, () => [take(10, { ...LOSS, since: new Date(1_090), downMs: 1 })]),
    "and there was none",
  ],
  ["too few told as dropped", but(43, () => [take(43, { ...OVERFLOW, dropped: 2 })]), "3 missing before 43"],
  ["too many told as dropped", but(43, () => [take(43, { ...OVERFLOW, dropped: 4 })]), "at most 3 were"],
  [
    "dropped without the reason",
    but(43, () => [take(43, { ...OVERFLOW, reasons: ["reconnect"] })]),
    "before 43: reconnect",
  ],
  [
    "a loss that counts twice beside dropped messages",
    but(43, () => [take(43, { ...LOSS, reasons: ["reconnect", "overflow"], downMs: 208, dropped: 3 })]),
    "at most 104 ms",
  ],
  ["a message of somewhere else", but(10, () => [{ ...take(10), name: "other" }]), "was never published there"],
  ["a silent end", evidence({ streams: [stream({ taken: TAKEN.slice(0, -2) })] }), "is missing at the end"],
  ["a gap that no event tells", evidence({ events: events({ gap: [] }) }), "no gap is told at once"],
  ["drops that no event tells", evidence({ events: events({ overflow: [] }) }), "events tell of 0 dropped"],
  ["counts that are wrong", evidence({ stats: { dropped: 3, delivered: 46 } }), "stats() says 46 delivered"],
  ["silence that is not noticed", evidence({ freezes: [{ at: 1_250, withinMs: 10 }] }), "noticed after Infinity ms"],
];

for (const [what, wrong, says] of WRONGS) {
  test(`A round is condemned for ${what}`, () => {
    const { violations } = judge(wrong);
    assert(violations.some((violation) => violation.includes(says)), `It says: ${violations.join("; ") || "nothing"}`);
  });
}

test("What a stream has not got since it was left, or before it was there, is not missing", () => {
  const [kept, other] = stream().holds;
  const [left, joined] = [{ ...kept!, until: 1_205 }, { ...other!, held: 1_100 }];
  const early = (message: Taken) => message.name === "other" && message.number < 11;
  const late = (message: Taken) => message.name === "kept" && message.number > 19;
  const rest = TAKEN.filter((message) => !early(message) && !late(message));
  const told = rest.map((message) =>
    message.number === 31 ? take(31, LOSS) : message.number === 43 ? take(43, { ...OVERFLOW, dropped: 1 }) : message
  );
  const { violations } = judge(
    evidence({
      streams: [stream({ taken: told, holds: [left, joined] })],
      stats: { dropped: 3, delivered: told.length },
    }),
  );
  assertEquals(violations, []);
});

test("What comes of a name that is not held is condemned", () => {
  const [kept, other] = stream().holds;
  const wrong = stream({ holds: [{ ...kept!, until: 1_405 }, other!] });
  assert(
    judge(evidence({ streams: [wrong] })).violations.some((violation) =>
      violation.includes('44 of "kept" was not asked for')
    ),
  );
});
