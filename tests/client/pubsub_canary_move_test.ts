/** A canary while its connection is replaced by another one: it proves the new one, and cries wolf over neither. */
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { TimeoutError } from "../../src/errors.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { LIFE_MS, type MovingOptions, MovingStage, PASSWORD } from "./moving_stage.ts";

const IDLE_MS = 10_000;
const TIMEOUT_MS = 5_000;
/** A song takes some turns of the event loop to be published; a move takes fewer than this. */
const MOST_TURNS = 60;

/** A stage with a canary; `held` holds its songs up for so many turns. */
class Cage {
  readonly stage: MovingStage;
  songs = 0;
  heldTurns = 0;
  #channel = "";

  constructor(options: MovingOptions) {
    this.stage = new MovingStage({
      dawdle: () => 1,
      ...options,
      client: { keepAlive: { idleMs: IDLE_MS, timeoutMs: TIMEOUT_MS, canary: true } },
      sing: async (channel) => {
        this.#channel = channel;
        for (let turns = this.heldTurns; turns > 0; turns--) await settle();
        this.songs++;
        this.stage.broker.publish(channel, "");
      },
    });
  }

  get channel(): string {
    return this.#channel;
  }

  /** Lets time pass as it does: what dawdles has its turns meanwhile. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1_000) {
      await this.stage.clock.advance(Math.min(left, 1_000));
      await this.stage.rest(10);
    }
  }

  get alarms(): string[] {
    return this.stage.events.flatMap((event) =>
      event.type === "disconnected" || event.type === "error" ? [event.error.message] : []
    );
  }
}

/** The moves there are; each with when it is due, just as a song is. */
const MOVES: readonly [string, MovingOptions, (stage: MovingStage) => void][] = [
  ["new credentials in RESP2", { protocol: 2 }, () => {}],
  [
    "new credentials in RESP3, where AUTH is refused",
    { protocol: 3 },
    ({ broker }) => broker.refuse("AUTH", "NOPERM no"),
  ],
  [
    "new credentials without a fence",
    { protocol: 2 },
    ({ broker }) => broker.refuse("PUBLISH", "NOPERM no"),
  ],
  [
    "a server that moves",
    { protocol: 3, credentials: () => Promise.resolve({ password: PASSWORD }) },
    ({ broker, clock }) => void clock.after(8 * IDLE_MS, () => broker.push("MOVING", 1, 30, "10.0.0.1:7000")),
  ],
];

for (const [move, options, prepare] of MOVES) {
  test(`a canary that sings while there is a move (${move}) raises no false alarm, and sings on`, async () => {
    for (let turns = 0; turns < MOST_TURNS; turns += 3) {
      const cage = new Cage(options);
      const { stage } = cage;
      await stage.pubsub.subscribe("n");
      prepare(stage);
      await cage.pass(8 * IDLE_MS - 1_000);
      cage.heldTurns = turns;
      await cage.pass(2_000);
      await stage.rest(MOST_TURNS);
      cage.heldTurns = 0;
      const [open] = stage.wires.filter(({ state }) => state === "open");
      assertEquals([stage.open, open === stage.wires[0]], [1, false], "it has moved");
      const { songs } = cage;
      await cage.pass(3 * IDLE_MS + TIMEOUT_MS);
      assertEquals([cage.alarms, cage.songs - songs], [[], 3], `${turns} turns`);
      // It is the new connection that it proves.
      open!.ear = "deaf";
      await cage.pass(IDLE_MS + TIMEOUT_MS);
      const lost = stage.events.flatMap((event) => event.type === "disconnected" ? [event.error] : []);
      assertEquals(lost.length, 1, `${turns} turns`);
      assertInstanceOf(lost[0], TimeoutError);
      assertEquals(lost[0].what, "canary");
      assertEquals(await stage.end(), { timers: 0, open: 0 });
    }
  });
}

test("a canary goes on proving the old connection where a move fails", async () => {
  const cage = new Cage({ protocol: 2 });
  const { stage } = cage;
  await stage.pubsub.subscribe("n");
  await cage.pass(8 * IDLE_MS - 1_000);
  stage.unreachable = "yes";
  await cage.pass(1_000 + 2 * IDLE_MS + TIMEOUT_MS);
  assert(stage.count("error") > 0);
  assertEquals([stage.count("disconnected"), cage.songs], [0, 10]);
  stage.wires[0]!.ear = "deaf";
  await cage.pass(IDLE_MS + TIMEOUT_MS);
  const [lost] = cage.stage.events.flatMap((event) => event.type === "disconnected" ? [event.error] : []);
  assertInstanceOf(lost, TimeoutError);
  assertEquals(lost.what, "canary");
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("a canary whose channel the new connection is refused is told so, once, and the next move gives it back", async () => {
  const cage = new Cage({ protocol: 2 });
  const { stage } = cage;
  await stage.pubsub.subscribe("n");
  await cage.pass(IDLE_MS);
  stage.broker.refuse("SUBSCRIBE", "NOPERM no", { name: cage.channel });
  await cage.pass(LIFE_MS - IDLE_MS);
  const { songs } = cage;
  assertEquals(cage.alarms.length, 1);
  assertMatch(cage.alarms[0]!, /^SUBSCRIBE .*was refused: NOPERM/);
  stage.broker.allow("SUBSCRIBE");
  await cage.pass(LIFE_MS);
  assert(cage.songs > songs);
  assertEquals(cage.alarms.length, 1);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});
