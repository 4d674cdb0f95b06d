import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { ConnectionError, ProtocolError, TimeoutError } from "../../src/errors.ts";
import { encodeCommand } from "../../src/resp/writer.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { commandLines, push, refusal } from "../support/wire.ts";
import { Bench, message } from "./connection_bench.ts";

test("a connection opens, subscribes, and hands out what it hears, in order", async () => {
  const bench = new Bench();
  await bench.start("a", "b");
  bench.server.send(message("one"), message("two"));
  await settle();
  assertEquals(bench.heard, [
    "connected 3",
    "subscribed channel a",
    "subscribed channel b",
    "synced",
    "message channel a one",
    "message channel a two",
  ]);
  assertEquals(bench.connection.subscriptions?.state("channel", "a"), "subscribed");
  assertEquals(bench.cause, undefined);
});

test("what is sent in one turn goes out in one write", async () => {
  const bench = new Bench();
  await bench.start();
  bench.want("a", "b");
  bench.connection.command("ECHO", encodeCommand(["ECHO", "x"]));
  bench.want("c");
  await settle();
  assertEquals(bench.server.writes.map(commandLines), [
    ["HELLO 3"],
    ["SUBSCRIBE a", "SUBSCRIBE b", "ECHO x", "SUBSCRIBE c"],
  ]);
  assertEquals(bench.heard.slice(-4), [
    "subscribed channel b",
    "reply 1 bulk-string",
    "subscribed channel c",
    "synced",
  ]);
});

test("of many names in one turn the first are sent before it ends, and all in order", async () => {
  const names = Array.from({ length: 5_000 }, (_, i) => `name-${i}`);
  const written: Uint8Array[] = [];
  const bench = new Bench({
    wrap: (transport) => ({
      read: (room) => transport.read(room),
      close: () => transport.close(),
      write: (bytes) => {
        written.push(bytes);
        return transport.write(bytes);
      },
    }),
  });
  await bench.start();
  written.length = 0;
  bench.want(...names);
  assertEquals(written.length, 2);
  await settle();
  assertEquals(written.flatMap(commandLines).flatMap((line) => line.split(" ").slice(1)), names);
  assertEquals([bench.connection.subscriptions?.size, bench.connection.subscriptions?.unsettled], [5_000, 0]);
});

test("a transport that fails as the first of many names are sent ends it, and nobody is thrown at", async () => {
  let failing = false;
  const bench = new Bench({
    wrap: (transport) => ({
      read: (room) => transport.read(room),
      close: () => transport.close(),
      write: (bytes) => {
        if (failing) throw new Error("no");
        return transport.write(bytes);
      },
    }),
  });
  await bench.start();
  failing = true;
  bench.want(...Array.from({ length: 5_000 }, (_, i) => `name-${i}`));
  await settle();
  bench.assertEnded("Lost the connection to localhost:6379: the transport failed");
});

test("what is sent while a write is under way goes out in the next one, in order", async () => {
  let finish = () => {};
  const written: string[][] = [];
  const bench = new Bench({
    wrap: (transport) => ({
      read: (room) => transport.read(room),
      close: () => transport.close(),
      write: async (bytes) => {
        written.push(commandLines(bytes));
        await transport.write(bytes);
        if (written.length === 2) await new Promise<void>((resolve) => finish = resolve);
      },
    }),
  });
  await bench.start();
  bench.want("a");
  await settle();
  bench.want("b");
  bench.want("c");
  await settle();
  assertEquals(written, [["HELLO 3"], ["SUBSCRIBE a"]]);
  finish();
  await settle();
  assertEquals(written, [["HELLO 3"], ["SUBSCRIBE a"], ["SUBSCRIBE b", "SUBSCRIBE c"]]);
});

test("a pause holds back every event after the one in hand, of this chunk and of later ones", async () => {
  const bench = new Bench({
    onEvent: (event, connection) => {
      if (event.type === "messages") connection.pause();
    },
  });
  await bench.start("a");
  bench.heard.length = 0;
  bench.server.send(message("one"), message("two"), message("three"));
  await settle();
  assertEquals(bench.heard, ["message channel a one"]);
  bench.connection.pause();
  await settle();
  for (const payload of ["two", "three"]) {
    bench.connection.resume();
    await settle();
    assertEquals(bench.heard.at(-1), `message channel a ${payload}`);
  }
  bench.connection.resume();
  bench.connection.resume();
  await settle();
  assertEquals([bench.heard.length, bench.cause], [3, undefined]);
});

test("while it is paused it does not read, and what is wanted is still sent", async () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  await bench.start("a");
  bench.connection.pause();
  bench.server.send(message("one"));
  await settle();
  bench.server.send(message("two"));
  bench.want("b");
  await bench.clock.advance(60_000);
  assertEquals(bench.server.peer.commands.at(-1), "SUBSCRIBE b");
  assertEquals([bench.heard.at(-1), bench.cause], ["synced", undefined]);
  bench.connection.resume();
  await settle();
  assertEquals(bench.heard.slice(-5), [
    "synced",
    "message channel a one",
    "message channel a two",
    "subscribed channel b",
    "synced",
  ]);
  assertEquals(bench.cause, undefined);
});

test("an abort while it is paused ends it, and nothing more is handed out", async () => {
  const bench = new Bench({
    onEvent: (event, connection) => event.type === "messages" ? connection.pause() : undefined,
  });
  await bench.start("a");
  bench.server.send(message("one"), message("two"));
  await settle();
  bench.connection.abort(new ConnectionError("Enough"));
  await settle();
  assertEquals(bench.heard.at(-1), "message channel a one");
  bench.assertEnded("Enough");
});

test("an abort from within an event ends it there", async () => {
  const bench = new Bench({
    onEvent: (event, connection) =>
      event.type === "messages" ? connection.abort(new ConnectionError("Enough")) : undefined,
  });
  await bench.start("a");
  bench.server.send(message("one"), message("two"));
  await settle();
  assertEquals(bench.heard.at(-1), "message channel a one");
  bench.assertEnded("Enough");
});

test("it ends once, with the first cause", async () => {
  const bench = new Bench();
  await bench.start("a");
  const first = new ConnectionError("First");
  bench.connection.abort(first);
  bench.connection.abort(new ConnectionError("Second"));
  bench.server.close();
  await settle();
  assertStrictEquals(await bench.connection.ended, first);
  bench.assertEnded("First");
});

test("nothing is done after the end, whoever asks", async () => {
  const bench = new Bench();
  await bench.start();
  bench.connection.abort(new ConnectionError("Enough"));
  const { length } = bench.server.writes;
  bench.want("a");
  bench.connection.pause();
  bench.connection.resume();
  bench.connection.command("ECHO", encodeCommand(["ECHO", "x"]));
  await bench.connection.quit(100);
  await bench.clock.advance(60_000);
  assertEquals(bench.server.writes.length, length);
  bench.assertEnded("Enough");
});

test("a server that closes it is the cause", async () => {
  const bench = new Bench();
  await bench.start("a");
  bench.server.send(message("last"));
  bench.server.close();
  await settle();
  assertEquals(bench.heard.at(-1), "message channel a last");
  assert(bench.cause instanceof ConnectionError);
  assertEquals(bench.cause.endpoint, "localhost:6379");
  bench.assertEnded("Lost the connection to localhost:6379: the server closed it");
});

test("a protocol that the server breaks is the cause, after what came before it", async () => {
  const bench = new Bench();
  await bench.start("a");
  bench.server.send(message("last"), push("subscribe", "x", 1), message("never"));
  await settle();
  assert(bench.cause instanceof ProtocolError);
  assertEquals(bench.heard.at(-1), "message channel a last");
  assertEquals([bench.clock.pending, bench.server.state], [0, "closed"]);
});

for (
  const [what, error] of [["its own", new ConnectionError("Broken pipe")], ["any", new TypeError("EPIPE")]] as const
) {
  for (const operation of ["read", "write"] as const) {
    test(`a ${operation} that fails with ${what} error ends it`, async () => {
      let fail = (): Promise<void> => Promise.resolve();
      const bench = new Bench({
        wrap: (transport) => ({
          close: () => transport.close(),
          read: async (room) => {
            if (operation === "read") await fail();
            return await transport.read(room);
          },
          write: async (bytes) => {
            if (operation === "write") await fail();
            await transport.write(bytes);
          },
        }),
      });
      await bench.start();
      fail = () => Promise.reject(error);
      bench.want("a");
      await settle();
      if (error instanceof ConnectionError) assertStrictEquals(bench.cause, error);
      else assertStrictEquals(bench.cause?.cause, error);
      bench.assertEnded(
        error instanceof ConnectionError
          ? "Broken pipe"
          : "Lost the connection to localhost:6379: the transport failed",
      );
    });
  }
}

test("a command that is not answered ends it, after one last look", async () => {
  const bench = new Bench({ answer: ([verb]) => verb === "SUBSCRIBE" ? [] : undefined });
  await bench.start("a");
  await bench.clock.advance(3_049);
  assertEquals(bench.cause, undefined);
  await bench.clock.advance(1);
  assert(bench.cause instanceof TimeoutError);
  bench.assertEnded("No answer within 3000 ms: SUBSCRIBE");
});

test("silence is probed, and no answer to the probe ends it", async () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  await bench.start("a");
  await bench.clock.advance(10_000);
  assertEquals(bench.server.peer.commands.filter((line) => line === "PING").length, 10);
  bench.server.state = "frozen";
  await bench.clock.advance(1_549);
  assertEquals(bench.cause, undefined);
  await bench.clock.advance(1);
  assert(bench.cause instanceof TimeoutError);
  bench.assertEnded("No answer within 500 ms: PONG");
});

test("a machine that slept probes at once, and does not end a connection that lives", async () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  await bench.start("a");
  await bench.clock.jump(3_600_000);
  assertEquals(bench.server.peer.commands.at(-1), "PING");
  await bench.clock.advance(999);
  assertEquals(bench.cause, undefined);
});

test("however much is heard, one timer is enough", async () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  await bench.start("a");
  for (let i = 0; i < 20; i++) {
    bench.server.send(message("x"));
    await bench.clock.advance(100);
  }
  assertEquals(bench.server.peer.commands, ["HELLO 3", "SUBSCRIBE a"]);
  assert(bench.clock.pending === 1 && bench.clock.made < 6, `${bench.clock.pending} of ${bench.clock.made}`);
});

test("to quit waits for the server, which ends it in good order", async () => {
  const bench = new Bench();
  await bench.start("a");
  bench.desired.delete("channel", "a");
  bench.connection.sync("channel", "a");
  await bench.connection.quit(1_000);
  assertEquals(bench.server.peer.commands.slice(-2), ["UNSUBSCRIBE a", "QUIT"]);
  await settle();
  bench.assertEnded("Lost the connection to localhost:6379: the server closed it");
});

test("to quit while it is paused reads again, so that the goodbye is heard", async () => {
  const bench = new Bench();
  await bench.start("a");
  bench.connection.pause();
  bench.server.send(message("one"), message("two"));
  await bench.connection.quit(1_000);
  assertEquals(bench.heard.slice(-2), ["message channel a one", "message channel a two"]);
});

test("to quit a server that does not answer ends when the time is up", async () => {
  const bench = new Bench();
  await bench.start("a");
  bench.server.state = "frozen";
  const quitting = bench.connection.quit(200);
  await bench.clock.advance(199);
  assertEquals(bench.cause, undefined);
  await bench.clock.advance(1);
  await quitting;
  await settle();
  bench.assertEnded("Lost the connection to localhost:6379: the server did not end it in time");
});

test("what is asked is answered in its place among the events, and is no event; also where it is refused", async () => {
  for (
    const answer of [
      undefined,
      ([verb]: readonly string[]) => verb === "PING" ? [refusal("NOPERM no 'ping'")] : undefined,
    ]
  ) {
    const bench = new Bench(answer === undefined ? {} : { answer });
    await bench.start("a");
    bench.connection.ask(["PING"], (reply) => bench.heard.push(`answered ${reply?.type}`));
    bench.want("b");
    await settle();
    assertEquals(bench.heard.slice(-4), [
      "synced",
      `answered ${answer === undefined ? "simple-string" : "simple-error"}`,
      "subscribed channel b",
      "synced",
    ]);
  }
});

test("what is asked of a connection that ends, or has ended, is told so", async () => {
  const answers: unknown[] = [];
  const bench = new Bench({ answer: ([verb]) => verb === "ECHO" ? [] : undefined });
  await bench.start();
  bench.connection.ask(["ECHO", "x"], (reply) => answers.push(reply));
  await settle();
  assertEquals(answers, []);
  bench.server.close();
  await settle();
  assertEquals(answers, [undefined]);
  bench.connection.ask(["ECHO", "x"], (reply) => answers.push(reply));
  assertEquals(answers, [undefined, undefined]);
});

test("a denied name is asked for again when it is told to", async () => {
  const answers = [[refusal("NOPERM no")], undefined];
  const bench = new Bench({ answer: ([verb]) => verb === "SUBSCRIBE" ? answers.shift() : undefined });
  await bench.start("a");
  assertEquals(bench.heard.at(-2), "denied channel a: NOPERM");
  bench.connection.sync("channel", "a");
  await settle();
  assertEquals(bench.heard.slice(-2), ["subscribed channel a", "synced"]);
});

test("it knows when its peer was heard last", async () => {
  const bench = new Bench();
  await bench.start("a");
  const then = bench.clock.now();
  await bench.clock.advance(700);
  assertEquals(bench.connection.lastHeard, then);
  bench.server.send(message("one"));
  await settle();
  assertEquals(bench.connection.lastHeard, then + 700);
});
