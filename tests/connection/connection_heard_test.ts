/** Until when everything was heard: what a connection that is lost may have cost was said after that. */
import { assert, assertEquals } from "@std/assert";
import { ConnectionError } from "../../src/errors.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { Dice } from "../support/dice.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { Bench, message } from "./connection_bench.ts";

/** A wire that can break, and then nothing of what it holds arrives. */
class Wire {
  #state: "whole" | "broken" = "whole";
  readonly wrap = (transport: Transport): Transport => ({
    read: (room) => this.#state === "whole" ? transport.read(room) : Promise.reject(new Error("reset")),
    write: (bytes) => transport.write(bytes),
    close: () => transport.close(),
  });

  async cut({ server, connection }: Bench): Promise<void> {
    this.#state = "broken";
    server.close();
    connection.resume();
    await settle();
  }
}

/** A connection that paused at 11,000, a second after it opened; a read is under way. */
async function paused(): Promise<{ bench: Bench; wire: Wire }> {
  const wire = new Wire();
  const bench = new Bench({ wrap: wire.wrap });
  await bench.start("a");
  await bench.clock.advance(1_000);
  bench.server.send(message("heard"));
  await settle();
  bench.connection.pause();
  return { bench, wire };
}

test("whoever keeps up has heard everything until something was heard last", async () => {
  const bench = new Bench();
  assertEquals(bench.connection.heardUntil, 10_000);
  await bench.start("a");
  await bench.clock.advance(300);
  bench.server.send(message("1"));
  await bench.clock.advance(200);
  assertEquals([bench.connection.heardUntil, bench.connection.lastHeard], [10_300, 10_300]);
});

test("whoever is cut off while reading nothing has heard everything until that began, however long ago", async () => {
  const { bench, wire } = await paused();
  for (let i = 0; i < 20; i++) {
    await bench.clock.advance(1_000);
    bench.server.send(message("too late"));
  }
  await wire.cut(bench);
  assertEquals([bench.heard.at(-1), bench.connection.heardUntil], ["message channel a too late", 11_000]);
});

test("what is read after a pause may be as old as the pause, until a read has found the socket empty", async () => {
  const { bench, wire } = await paused();
  // A read was under way: this is here, and all that comes behind it waits.
  bench.server.send(message("in hand"));
  for (let i = 0; i < 3; i++) bench.server.send(message("waits"));
  await bench.clock.advance(5_000);
  bench.connection.resume();
  await settle();
  assertEquals([bench.connection.lastHeard, bench.connection.heardUntil], [16_000, 11_000]);
  // Another pause: they add up.
  await bench.clock.advance(50);
  bench.connection.pause();
  bench.server.send(message("in hand"));
  bench.server.send(message("waits"));
  await bench.clock.advance(2_000);
  bench.connection.resume();
  await settle();
  assertEquals([bench.connection.lastHeard, bench.connection.heardUntil], [18_050, 11_000]);
  await wire.cut(bench);
  assertEquals(bench.connection.heardUntil, 11_000);
});

for (
  const [how, waitMs, bytes, caughtUp] of [
    ["a read that waited long", 101, 5_000, true],
    ["a read that waited a little and brought little", 1, 10, true],
    ["a read that waited a little and brought much", 1, 5_000, false],
    ["a read that did not wait", 0, 10, false],
  ] as const
) {
  test(`${how} ${caughtUp ? "has found" : "has not found"} the socket empty`, async () => {
    const { bench } = await paused();
    bench.server.send(message("in hand"));
    bench.server.send(message("waits"));
    await bench.clock.advance(5_000);
    bench.connection.resume();
    await bench.clock.advance(waitMs);
    bench.server.send(message("x".repeat(bytes)));
    await settle();
    const age = () => bench.connection.lastHeard - bench.connection.heardUntil;
    // A little may be the last of what waited.
    assertEquals(age(), waitMs > 100 ? 0 : 5_000);
    bench.server.send(message("next"));
    await settle();
    assertEquals(age(), caughtUp ? 0 : 5_000);
  });
}

test("what is in hand when a connection ends that does not read was not heard", async () => {
  const bench = new Bench({
    onEvent: (event, connection) => event.type === "messages" && connection.pause(),
  });
  await bench.start("a");
  await bench.clock.advance(1_000);
  bench.server.sendTogether(message("1"), message("2"));
  await settle();
  assertEquals([bench.heard.at(-1), bench.connection.heardUntil], ["message channel a 1", 11_000]);
  bench.connection.abort(new ConnectionError("gone"));
  assertEquals(bench.connection.heardUntil, 10_000);
});

test("a program that was busy has heard everything until it was", async () => {
  const bench = new Bench({ keepAlive: { idleMs: 20_000, timeoutMs: 20_000 } });
  await bench.start("a");
  await bench.clock.jump(5_000);
  for (let i = 0; i < 3; i++) bench.server.send(message("late"));
  await settle();
  assertEquals([bench.connection.lastHeard, bench.connection.heardUntil], [15_000, 10_000]);
});

test("whatever it reads, and whenever it does not, nothing is lost that was said before", async () => {
  for (let seed = 0; seed < 150; seed++) {
    const dice = new Dice(seed);
    const wire = new Wire();
    let nap = 0;
    const bench = new Bench({
      wrap: wire.wrap,
      onEvent: (event, connection) => event.type === "messages" && dice.next() < nap && connection.pause(),
    });
    await bench.start("a");
    nap = dice.pick([0, 0.1, 0.5]);
    const said: number[] = [];
    for (let step = 0; step < 40; step++) {
      await bench.clock.advance(dice.pick([0, 0.5, 1, 40, 300, 2_000]));
      // A read that begins in between may come to its end while it does not read.
      for (let turns = dice.pick([0, 1, 1, 2, 2, 3]); turns > 0; turns--) {
        if (dice.next() < 0.5) bench.connection.pause();
        else bench.connection.resume();
        if (dice.next() < 0.5) await Promise.resolve();
      }
      const size = dice.pick([1, 1, 3_000]);
      const messages = Array.from({ length: Math.floor(dice.next() * 4) }, () => {
        said.push(bench.clock.now());
        return message("x".repeat(size));
      });
      if (messages.length > 0) bench.server.sendTogether(...messages);
    }
    if (dice.next() < 0.5) bench.connection.abort(new ConnectionError("gone"));
    else {
      nap = 0;
      await wire.cut(bench);
    }
    const heard = bench.heard.filter((line) => line.startsWith("message ")).length;
    const { heardUntil } = bench.connection;
    assert((said[heard] ?? Infinity) >= heardUntil, `seed ${seed}: ${said[heard]} is before ${heardUntil}`);
  }
});
