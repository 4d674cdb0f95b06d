/** What was read waits while whoever has taken of it may ask for the rest, at most for a turn of the event loop. */
import { assertEquals } from "@std/assert";
import type { Connection } from "../../src/connection/connection.ts";
import { ConnectionError } from "../../src/errors.ts";
import type { Run } from "../../src/run/run.ts";
import { settle } from "../support/manual_clock.ts";
import { takeOne } from "../support/run.ts";
import { test } from "../support/test.ts";
import { push } from "../support/wire.ts";
import { Bench, message } from "./connection_bench.ts";

const decoder = new TextDecoder();
const END = new ConnectionError("over");
const ALL = ["1", "2", "3", "4", "5"];

/** A listener that takes two messages, and asks for more when it is told. */
class Sipper {
  readonly took: string[] = [];
  run: Run | undefined;
  readonly bench = new Bench({
    listener: (event, connection) => {
      if (event.type !== "messages") return void this.took.push(event.type);
      this.run = event;
      for (let i = 0; i < 2 && event.taken < event.count && event.state === "flowing"; i++) {
        this.took.push(decoder.decode(takeOne(event).payload));
        this.doing(connection);
      }
      if (event.state === "flowing") event.state = "resting";
    },
  });

  doing: (connection: Connection) => void = () => {};

  async start(...wire: ReturnType<typeof push>[]): Promise<void> {
    await this.bench.start("a");
    this.took.length = 0;
    this.bench.server.sendTogether(...wire);
    await settle();
  }

  /** What it took since this was asked last. */
  since(): string[] {
    return this.took.splice(0);
  }
}

test("The rest waits until it is asked for, and nothing behind it overtakes it", async () => {
  const sipper = new Sipper();
  await sipper.start(...ALL.map(message), push("invalidate", "x"), message("6"));
  assertEquals(sipper.since(), ["1", "2"]);
  sipper.run!.more!();
  assertEquals(sipper.since(), ["3", "4"]);
  sipper.run!.more!();
  assertEquals(sipper.since(), ["5", "unknown-push"], "it is asked for messages, and waits for nothing else");
  sipper.run!.more!();
  assertEquals(sipper.since(), ["6"]);
  sipper.run!.more!();
  sipper.bench.server.sendTogether(message("7"), message("8"), message("9"));
  await settle();
  assertEquals(sipper.since(), ["7", "8"], "it reads on, and what is read next waits likewise");
});

test("What nobody asks for comes at the end of the turn, with all that was read then; one timer serves", async () => {
  const sipper = new Sipper();
  await sipper.start(...ALL.map(message));
  const { made } = sipper.bench.clock;
  sipper.run!.more!();
  assertEquals(sipper.since(), ["1", "2", "3", "4"]);
  await sipper.bench.clock.advance(0);
  assertEquals([sipper.since(), sipper.bench.clock.made], [["5"], made]);
  sipper.bench.server.sendTogether(...ALL.map(message), ...ALL.map(message));
  await settle();
  assertEquals(sipper.since(), ["1", "2"]);
  await sipper.bench.clock.advance(0);
  assertEquals(sipper.since(), [...ALL.slice(2), ...ALL]);
  sipper.run!.more!();
  assertEquals(sipper.since(), [], "there is nothing to ask for");
});

test("What was read before the end is handed out before it, and no timer is left", async () => {
  const sipper = new Sipper();
  await sipper.start(...ALL.map(message));
  const { bench } = sipper;
  bench.connection.abort(END);
  assertEquals(sipper.since(), ALL);
  assertEquals([bench.connection.hasEnded, bench.clock.pending, sipper.run!.more], [true, 0, undefined]);
});

test("A pause keeps the rest from whoever asks, until it ends", async () => {
  const sipper = new Sipper();
  await sipper.start(...ALL.map(message));
  sipper.bench.connection.pause();
  sipper.run!.more!();
  await sipper.bench.clock.advance(0);
  assertEquals(sipper.since(), ["1", "2"]);
  sipper.bench.connection.resume();
  await settle();
  assertEquals(sipper.since(), ["3", "4", "5"], "a pause is no reason to ask again");
});

test("A pause in the middle of what is handed out before an end ends there", async () => {
  const sipper = new Sipper();
  await sipper.start(...ALL.map(message));
  const { connection } = sipper.bench;
  sipper.since();
  sipper.doing = () => connection.pause();
  connection.abort(END);
  assertEquals([sipper.since(), connection.hasEnded], [["3"], true]);
});

test("An end in the middle of what is handed out before an end is one end", async () => {
  const sipper = new Sipper();
  await sipper.start(...ALL.map(message));
  const { connection } = sipper.bench;
  sipper.since();
  sipper.doing = () => connection.abort(END);
  connection.abort(END);
  assertEquals([sipper.since(), connection.hasEnded], [["3"], true]);
});
