/** A connection that hands out several messages at once, to a listener that takes as many as it may. */
import { assertEquals } from "@std/assert";
import type { Connection } from "../../src/connection/connection.ts";
import { ConnectionError } from "../../src/errors.ts";
import type { SessionEvent } from "../../src/protocol/push.ts";
import type { TellingTransport } from "../../src/transport/transport.ts";
import { settle } from "../support/manual_clock.ts";
import { takeOne } from "../support/run.ts";
import { test } from "../support/test.ts";
import { item, push } from "../support/wire.ts";
import { Bench, type BenchOptions, message } from "./connection_bench.ts";

const decoder = new TextDecoder();

/** What a listener does that takes messages as long as the run flows. */
class Greedy {
  /** The payloads that it took, the types of other events. */
  readonly took: string[] = [];
  readonly bench: Bench;

  constructor(doing: (payload: string, connection: Connection) => void, options: BenchOptions = {}) {
    this.bench = new Bench({
      ...options,
      listener: (event: SessionEvent, connection: Connection) => {
        if (event.type !== "messages") return void this.took.push(event.type);
        while (event.taken < event.count && event.state === "flowing") {
          const payload = decoder.decode(takeOne(event).payload);
          this.took.push(payload);
          doing(payload, connection);
        }
      },
    });
  }

  async start(): Promise<void> {
    await this.bench.start("a");
    this.took.length = 0;
  }
}

const ALL = ["1", "2", "3", "4", "5"];

test("a pause in the middle of a run keeps the rest, and what comes after it, for later", async () => {
  const greedy = new Greedy((payload, connection) => {
    if (Number(payload) % 2 === 0) connection.pause();
  });
  const { bench, took } = greedy;
  await greedy.start();
  bench.server.sendTogether(...ALL.map(message), push("invalidate", "x"), message("6"), message("7"));
  await settle();
  assertEquals(took, ["1", "2"]);
  for (const expected of [["3", "4"], ["5", "unknown-push", "6"], ["7"], []]) {
    took.length = 0;
    bench.connection.resume();
    await settle();
    assertEquals(took, expected);
  }
  assertEquals(bench.cause, undefined);
});

test("a pause that ends within the same message halts nothing", async () => {
  const greedy = new Greedy((_, connection) => {
    connection.pause();
    connection.resume();
  });
  await greedy.start();
  greedy.bench.server.sendTogether(...ALL.map(message));
  await settle();
  assertEquals(greedy.took, ALL);
});

test("a pause, an end of it and another pause within one message hold back the rest", async () => {
  const greedy = new Greedy((_, connection) => {
    connection.pause();
    connection.resume();
    connection.pause();
  });
  const { bench, took } = greedy;
  await greedy.start();
  bench.server.sendTogether(...ALL.map(message), push("invalidate", "x"));
  for (let i = 1; i <= ALL.length; i++) {
    await settle();
    assertEquals(took, ALL.slice(0, i));
    bench.connection.resume();
  }
  await settle();
  assertEquals(took, [...ALL, "unknown-push"]);
});

test("an abort in the middle of a run hands out nothing more, whoever asks", async () => {
  for (const paused of [false, true]) {
    const greedy = new Greedy((payload, connection) => {
      if (payload !== "2") return;
      if (paused) connection.pause();
      connection.abort(new ConnectionError("Enough"));
    });
    const { bench, took } = greedy;
    await greedy.start();
    bench.server.sendTogether(...ALL.map(message), push("invalidate", "x"));
    await settle();
    bench.connection.resume();
    await settle();
    assertEquals(took, ["1", "2"]);
    bench.assertEnded("Enough");
  }
});

test("an abort while the rest of a run waits hands out nothing more", async () => {
  const greedy = new Greedy((_, connection) => connection.pause());
  const { bench, took } = greedy;
  await greedy.start();
  bench.server.sendTogether(...ALL.map(message));
  await settle();
  bench.connection.abort(new ConnectionError("Enough"));
  bench.connection.resume();
  await settle();
  assertEquals(took, ["1"]);
  bench.assertEnded("Enough");
});

test("to quit in the middle of a run that is halted hands out the rest first", async () => {
  const greedy = new Greedy((payload, connection) => payload === "2" ? connection.pause() : undefined);
  const { bench, took } = greedy;
  await greedy.start();
  bench.server.sendTogether(...ALL.map(message));
  await settle();
  assertEquals(took, ["1", "2"]);
  await bench.connection.quit(1_000);
  assertEquals(took, ALL);
});

test("what the room is filled with while the rest of a run waits does not reach it", async () => {
  const greedy = new Greedy((_, connection) => connection.pause());
  const { bench, took } = greedy;
  await greedy.start();
  bench.server.sendTogether(...ALL.map(message));
  await settle();
  // It waits in the transport: nobody reads.
  bench.server.send(...["6", "7", "8"].map(message));
  for (let i = 0; i < 8; i++) {
    bench.connection.resume();
    await settle();
  }
  assertEquals(took, [...ALL, "6", "7", "8"]);
});

test("it reads into the room of its session, and hands out the messages where they were read to", async () => {
  const memories: unknown[] = [];
  let room: Uint8Array | undefined;
  const bench = new Bench({
    wrap: (transport) => ({
      read: (given) => transport.read(room = given),
      write: (bytes) => transport.write(bytes),
      close: () => transport.close(),
    }),
    listener: (event) => {
      if (event.type === "messages") memories.push(event.view(0).buffer, takeOne(event).channel);
    },
  });
  await bench.start("a");
  const { buffer } = room!;
  bench.server.send(message("1"));
  await settle();
  assertEquals([memories[0] === buffer, memories[1]], [true, "a"]);
});

test("of memory that is lent everything is taken before the next read", async () => {
  const lent = new Uint8Array(4 * 1024);
  const front = 1_000;
  /** What the transport has, and how much of it comes at a time. */
  const waiting: number[] = [];
  const sizes = [2_500];
  const took: string[] = [];
  const payloads = Array.from({ length: 200 }, (_, i) => `${i}:${"x".repeat(i * 37 % 1_500)}`);
  const bench = new Bench({
    wrap: (transport): TellingTransport => ({
      read: () => Promise.reject(new Error("It does not lend")),
      async readFor(taker, room) {
        lent.fill(0x21);
        if (waiting.length === 0) waiting.push(...await transport.read(room) ?? []);
        if (waiting.length === 0) return taker.ended();
        const part = waiting.splice(0, sizes[0]);
        sizes.push(sizes.shift()!);
        lent.set(part, front);
        taker.took(lent.subarray(front, front + part.length), "lent");
      },
      write: (bytes) => transport.write(bytes),
      close: () => transport.close(),
    }),
    listener: (event, connection) => {
      if (event.type !== "messages") return;
      took.push(decoder.decode(event.bytes(event.taken++)));
      kept.push(event.bytes(event.taken - 1));
      connection.pause();
      void Promise.resolve().then(() => connection.resume());
    },
  });
  const kept: Uint8Array[] = [];
  await bench.start("a");
  bench.server.send(message(payloads[0]!));
  await settle();
  sizes.push(700, 13, 1);
  bench.server.sendTogether(...payloads.slice(1).map(message));
  for (let i = 0; i < 20; i++) await settle();
  assertEquals(took, payloads);
  assertEquals(kept.map((payload) => decoder.decode(payload)), payloads);
});

test("after its end nobody reads, and what a read brings that was under way is not heard", async () => {
  for (const where of ["in a run", "while it reads", "while it is paused"] as const) {
    let reads = 0;
    let bring = (_chunk: Uint8Array) => {};
    const greedy = new Greedy((_, connection) => {
      if (where === "in a run") connection.abort(new ConnectionError("Enough"));
      if (where === "while it is paused") connection.pause();
    }, {
      wrap: (transport) => ({
        read: (room) => {
          reads++;
          // Like a socket that has been read when it is closed.
          return Promise.race([transport.read(room), new Promise<Uint8Array>((resolve) => bring = resolve)]);
        },
        write: (bytes) => transport.write(bytes),
        close: () => {},
      }),
    });
    const { bench, took } = greedy;
    await greedy.start();
    if (where !== "while it reads") bench.server.sendTogether(...ALL.map(message));
    await settle();
    const before = reads;
    const heard = bench.connection.lastHeard;
    bench.connection.abort(new ConnectionError("Enough"));
    await bench.clock.advance(100);
    bring(new TextEncoder().encode(":1\r\n"));
    await settle();
    assertEquals([reads, bench.connection.lastHeard, took.slice(1)], [before, heard, []], where);
  }
});

test("a connection for commands that is sent messages passes over them, and goes on", async () => {
  const bench = new Bench({
    role: "commands",
    answer: ([verb]) => verb === "GET" ? [message("1"), item("v")] : undefined,
  });
  await bench.start();
  bench.server.sendTogether(message("0"), message("0"));
  bench.connection.command("GET", new TextEncoder().encode("*2\r\n$3\r\nGET\r\n$1\r\nx\r\n"));
  await settle();
  assertEquals([bench.heard.at(-1), bench.cause], ["reply 1 bulk-string", undefined]);
});

test("a transport that brings something that is no chunk ends it, and nothing is left unhandled", async () => {
  const bench = new Bench({
    wrap: (transport) => ({
      read: () => Promise.resolve("+OK\r\n" as unknown as Uint8Array),
      write: (bytes) => transport.write(bytes),
      close: () => transport.close(),
    }),
  });
  await bench.start();
  bench.assertEnded("Lost the connection to localhost:6379: the transport failed");
});
