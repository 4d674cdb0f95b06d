import { assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { ConnectionError, ReplyError, TimeoutError } from "../../src/errors.ts";
import { Canary } from "../../src/supervisor/canary.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

/** A canary whose nest does as it is told. */
class Cage {
  readonly clock = new ManualClock();
  readonly canary: Canary;
  /** How the next songs are published; then they are, and heard at once. */
  readonly airs: (() => Promise<unknown>)[] = [];
  /** PINGs that are not answered yet. */
  readonly asked: ((sign: "alive" | "ended") => void)[] = [];
  /** How PINGs are answered. */
  pongs: "at once" | "later" = "at once";
  songs = 0;
  readonly muted: string[] = [];
  dead: TimeoutError | undefined;

  constructor() {
    this.canary = new Canary({
      clock: this.clock,
      idleMs: 10_000,
      timeoutMs: 5_000,
      publish: (channel, timeoutMs) => {
        assertEquals([channel, timeoutMs], [this.canary.channel, 5_000]);
        this.songs++;
        return (this.airs.shift() ?? this.clear)();
      },
    }, {
      ask: (answered) => this.pongs === "at once" ? answered("alive") : void this.asked.push(answered),
      dead: (cause) => this.dead = cause,
      mute: (cause) => void this.muted.push(cause.message),
    });
  }

  /** It is published, and heard before the answer. */
  readonly clear = () => {
    this.canary.heard();
    return Promise.resolve(1);
  };
}

const lost = () => Promise.resolve(1);
const NOPERM = () => Promise.reject(new ReplyError("NOPERM no", "PUBLISH"));
const down = () => Promise.reject(new ConnectionError("down"));

test("a canary sings every idleMs, on a private channel of its own", async () => {
  const [cage, other] = [new Cage(), new Cage()];
  assertMatch(cage.canary.channel, /^earshot:private:canary:[0-9a-z]+$/);
  other.clock.dice = 0.25;
  assertEquals(
    new Canary({ clock: other.clock, idleMs: 1, timeoutMs: 1, publish: lost }, {} as never).channel ===
      cage.canary.channel,
    false,
  );
  cage.canary.start();
  await cage.clock.advance(9_999);
  assertEquals(cage.songs, 0);
  await cage.clock.advance(1);
  assertEquals(cage.songs, 1);
  await cage.clock.advance(30_000);
  assertEquals([cage.songs, cage.dead, cage.muted, cage.clock.pending], [4, undefined, [], 1]);
});

test("a song that is not heard within timeoutMs means that the subscription is dead", async () => {
  const cage = new Cage();
  cage.airs.push(lost);
  cage.canary.start();
  await cage.clock.advance(14_999);
  assertEquals(cage.dead, undefined);
  await cage.clock.advance(1);
  assertInstanceOf(cage.dead, TimeoutError);
  assertEquals([cage.dead.what, cage.dead.ms], ["canary", 5_000]);
  assertEquals(cage.clock.pending, 0);
});

test("a song that comes late, from afar, is a song", async () => {
  const cage = new Cage();
  cage.airs.push(lost);
  cage.canary.start();
  await cage.clock.advance(14_000);
  cage.canary.heard();
  await cage.clock.advance(60_000);
  assertEquals([cage.dead, cage.songs > 4], [undefined, true]);
});

test("however long the PONG behind it takes, nothing is judged before it", async () => {
  const cage = new Cage();
  cage.airs.push(lost);
  cage.pongs = "later";
  cage.canary.start();
  await cage.clock.advance(600_000);
  assertEquals([cage.asked.length, cage.dead], [1, undefined]);
  cage.canary.heard();
  cage.asked[0]!("alive");
  await cage.clock.advance(10_000);
  assertEquals([cage.songs, cage.dead], [2, undefined]);
});

test("a PONG before the time is up is followed by another one, so that nothing unread is judged", async () => {
  const cage = new Cage();
  cage.airs.push(lost);
  cage.pongs = "later";
  cage.canary.start();
  await cage.clock.advance(10_000);
  cage.asked.shift()!("alive");
  await cage.clock.advance(5_000);
  assertEquals([cage.asked.length, cage.dead], [1, undefined]);
  cage.asked.shift()!("alive");
  assertInstanceOf(cage.dead, TimeoutError);
});

test("a song that cannot be published proves nothing; it is told once, until one was heard", async () => {
  const cage = new Cage();
  cage.airs.push(down, down, cage.clear, down);
  cage.canary.start();
  await cage.clock.advance(20_000);
  assertEquals([cage.songs, cage.muted], [2, ["down"]]);
  await cage.clock.advance(20_000);
  assertEquals([cage.songs, cage.muted, cage.dead], [4, ["down", "down"], undefined]);
});

test("a server that refuses to publish is asked again on the next connection only, and it is told once", async () => {
  const cage = new Cage();
  cage.airs.push(NOPERM, NOPERM);
  cage.canary.start();
  await cage.clock.advance(60_000);
  assertEquals([cage.songs, cage.clock.pending], [1, 0]);
  cage.canary.start();
  await cage.clock.advance(60_000);
  assertEquals([cage.songs, cage.muted], [2, ["PUBLISH was refused: NOPERM no"]]);
  cage.canary.start();
  await cage.clock.advance(10_000);
  assertEquals([cage.songs, cage.dead], [3, undefined]);
});

test("a channel that is refused is told once, and nothing is sung there", async () => {
  const cage = new Cage();
  for (let i = 0; i < 2; i++) cage.canary.refused(new ReplyError("NOPERM no", "SUBSCRIBE"));
  await cage.clock.advance(60_000);
  assertEquals([cage.songs, cage.muted], [0, ["SUBSCRIBE was refused: NOPERM no"]]);
});

for (const moment of ["rests", "publishes", "fails to publish", "waits for the PONG", "waits for the song"] as const) {
  test(`a canary that is stopped while it ${moment} is silent, and leaves no timer`, async () => {
    const cage = new Cage();
    let finish = () => {};
    const hanging = new Promise<void>((resolve, reject) => {
      finish = moment === "publishes" ? resolve : () => reject(new ConnectionError("late"));
    });
    if (moment === "publishes" || moment === "fails to publish") cage.airs.push(() => hanging);
    else cage.airs.push(lost);
    if (moment === "waits for the PONG") cage.pongs = "later";
    cage.canary.start();
    await cage.clock.advance(moment === "rests" ? 5_000 : 10_000);
    cage.canary.stop();
    if (moment === "publishes" || moment === "fails to publish") finish();
    for (const sign of ["ended", "alive"] as const) cage.asked[0]?.(sign);
    await settle();
    await cage.clock.advance(60_000);
    assertEquals([cage.songs, cage.dead, cage.muted, cage.clock.pending], [
      moment === "rests" ? 0 : 1,
      undefined,
      [],
      0,
    ]);
  });
}
