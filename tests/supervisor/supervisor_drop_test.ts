/** A connection may be lost at every step of making it anew, and at every byte; each time the next one mends it. */
import { assert, assertEquals } from "@std/assert";
import type { Endpoint } from "../../src/endpoint.ts";
import { encodeReply } from "../../src/resp/writer.ts";
import { settle } from "../support/manual_clock.ts";
import { refuse } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { HELLO_MAP, push, refusal } from "../support/wire.ts";
import { Bench, type BenchOptions } from "./supervisor_bench.ts";

const endpoint: Endpoint = { host: "localhost", port: 6379 };

function failOnce<T>(value: T, error: unknown): () => Promise<T> {
  let count = 0;
  return () => ++count === 2 ? Promise.reject(error) : Promise.resolve(value);
}

/** The server of the second connection closes it in answer to this command. */
function closesAt(verb: string): BenchOptions {
  return { breaksAfter: (count) => count === 2 && verb === "HELLO" ? 0 : Infinity, ...silentAt(verb) };
}

/** The server of the second connection never answers this command. */
function silentAt(verb: string): BenchOptions {
  return { peer: (count) => count === 2 ? { answer: (words) => words[0] === verb ? [] : undefined } : {} };
}

function answersAt(verb: string, text: string): BenchOptions {
  return {
    peer: (count) => count === 2 ? { answer: (words) => words[0] === verb ? [refusal(text)] : undefined } : {},
  };
}

/** What goes wrong with the second connection. */
const STEPS: readonly (readonly [step: string, BenchOptions])[] = [
  ["the endpoint cannot be found", { locate: failOnce(endpoint, new Error("no")) }],
  ["the credentials cannot be had", { credentials: failOnce({}, new Error("no")) }],
  ["dialling is refused", { dialling: (count) => count === 2 ? refuse() : undefined }],
  ["dialling fails in a way of its own", {
    dialling: (count) => count === 2 ? Promise.reject(new TypeError("EHOSTUNREACH")) : undefined,
  }],
  ["dialling hangs", { dialling: (count) => count === 2 ? new Promise(() => {}) : undefined }],
  ["the server closes as soon as it is reached", closesAt("HELLO")],
  ["HELLO is not answered", silentAt("HELLO")],
  ["the password is refused", answersAt("HELLO", "WRONGPASS no")],
  ["the server has too many clients", answersAt("HELLO", "ERR max number of clients reached")],
  ["SUBSCRIBE is not answered", silentAt("SUBSCRIBE")],
  ["the server is loading its data", answersAt("SUBSCRIBE", "LOADING wait")],
  ["HELLO is answered with nonsense", {
    peer: (count) => count === 2 ? { answer: () => [push("subscribe", "x", 1)] } : {},
  }],
  ["SUBSCRIBE is answered with nonsense", {
    peer: (count) => count === 2 ? { answer: ([verb]) => verb === "SUBSCRIBE" ? [HELLO_MAP] : undefined } : {},
  }],
];

for (const [step, options] of STEPS) {
  test(`a reconnection during which ${step} is followed by one that mends all`, async () => {
    const bench = new Bench({ keepAlive: { idleMs: 10_000, timeoutMs: 5_000 }, ...options });
    bench.want("a", "b");
    await settle();
    bench.network.last.close();
    await settle();
    const call = bench.subscribe(["c"]);
    await bench.clock.advance(60_000);
    await assertMended(bench, ["channel a", "channel b", "channel c"]);
    assertEquals([call.end, bench.causes.length], ["done", 2]);
    assertEquals(bench.told.filter((line) => line === "recovered since 0").length, 1);
  });
}

const HELLO_LENGTH = encodeReply(HELLO_MAP, 3).length;
const ACK_LENGTH = encodeReply(push("subscribe", "a", 1), 3).length;

test("a reconnection that is cut after any byte of what the server says is followed by one that mends all", async () => {
  for (let bytes = 0; bytes <= HELLO_LENGTH + 2 * ACK_LENGTH; bytes++) {
    const bench = new Bench({ breaksAfter: (count) => count === 2 ? bytes : Infinity });
    bench.want("a", "b");
    await settle();
    bench.network.last.close();
    await bench.clock.advance(60_000);
    await assertMended(bench, ["channel a", "channel b"]);
    assertEquals([bytes, bench.network.dials], [bytes, 3]);
  }
});

test("a first connection that is cut after any byte either fails the call, or the next one keeps its word", async () => {
  for (let bytes = 0; bytes <= HELLO_LENGTH + 2 * ACK_LENGTH; bytes++) {
    const bench = new Bench({ breaksAfter: (count) => count === 1 ? bytes : Infinity });
    const call = bench.subscribe(["a", "b"]);
    await bench.clock.advance(60_000);
    // Until a SUBSCRIBE is answered, nobody knows whether this is a server of Pub/Sub at all.
    if (bytes < HELLO_LENGTH + ACK_LENGTH) {
      assert(call.end instanceof Error);
      assertEquals([bytes, bench.network.dials, bench.states()], [bytes, 1, []]);
      await bench.assertLeftNothing();
    } else {
      assertEquals([bytes, call.end, bench.network.dials], [bytes, "done", 2]);
      await assertMended(bench, ["channel a", "channel b"]);
    }
  }
});

test("a connection that is cut while names come and go ends up with those that were asked for last", async () => {
  for (let bytes = HELLO_LENGTH + ACK_LENGTH; bytes <= HELLO_LENGTH + 6 * ACK_LENGTH; bytes++) {
    const bench = new Bench({ breaksAfter: (count) => count === 1 ? bytes : Infinity });
    bench.want("a", "b");
    await settle();
    const gone = bench.unsubscribe(["a"]);
    const come = bench.subscribe(["c"]);
    await settle();
    const back = bench.subscribe(["a"]);
    bench.drop("b");
    await bench.clock.advance(60_000);
    await assertMended(bench, ["channel a", "channel c"]);
    assertEquals([bytes, gone.end, come.end, back.end], [bytes, "done", "done", "done"]);
  }
});

test("two losses within half a second lose none of a thousand channels", async () => {
  const bench = new Bench();
  const names = Array.from({ length: 1_000 }, (_, index) => `c${index}`);
  const call = bench.subscribe(names);
  await settle();
  for (const ms of [60, 200]) {
    bench.network.last.close();
    await bench.clock.advance(ms);
  }
  assertEquals([call.end, bench.supervisor.reconnects], ["done", 2]);
  await assertMended(bench, names.map((name) => `channel ${name}`).sort());
});

/** Everything wanted is served, on the only connection there is, which closes in good order. */
async function assertMended(bench: Bench, names: readonly string[]): Promise<void> {
  await settle();
  assertEquals(bench.served(), [...names]);
  assertEquals(bench.states().map((line) => line.split(" ")[1]), names.map(() => "subscribed"));
  assertEquals([bench.network.open, bench.told.filter((line) => line === "closed")], [1, []]);
  await bench.supervisor.close();
  await bench.assertLeftNothing();
}
