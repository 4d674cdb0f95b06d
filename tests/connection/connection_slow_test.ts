/** A server that cuts off a slow subscriber says no word; we do. */
import { assertEquals } from "@std/assert";
import type { Transport } from "../../src/transport/transport.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { Bench, type BenchOptions, message } from "./connection_bench.ts";

const LOST = "Lost the connection to localhost:6379";
const SLOW =
  'likely client-output-buffer-limit, since we read too slowly: take messages faster, use another overflow than "block", or raise that limit';
const KIB = "x".repeat(1_024);

/** Every fault of the wire is a reset. */
function resetting(transport: Transport): Transport {
  return {
    ...transport,
    read: async (room) => await transport.read(room) ?? Promise.reject(new Error("reset")),
    write: (bytes) => transport.write(bytes),
    close: () => transport.close(),
  };
}

/** Pauses, lets so many KiB come, reads on and is cut off. */
async function slow(kib: number, options: BenchOptions = {}): Promise<Bench> {
  const bench = new Bench(options);
  await bench.start("a");
  bench.connection.pause();
  for (let i = 0; i < kib; i++) bench.server.send(message(KIB));
  await bench.clock.advance(30_000);
  bench.connection.resume();
  bench.server.close();
  await settle();
  await settle();
  return bench;
}

test("a connection that ends while much waited for us is told as the doing of the output buffer limit", async () => {
  const bench = await slow(80);
  bench.assertEnded(`${LOST}: the server closed it, ${SLOW}`);
  assertEquals(bench.heard.filter((line) => line.startsWith("message")).length, 80);
});

test("a connection that is reset while much waited for us is told so, too, with what the transport said", async () => {
  const bench = await slow(80, { wrap: resetting });
  assertEquals([bench.cause?.message, (bench.cause?.cause as Error).message], [
    `${LOST}: the transport failed, ${SLOW}`,
    "reset",
  ]);
});

test("a connection that ends while little waited for us is told as it is", async () => {
  (await slow(40)).assertEnded(`${LOST}: the server closed it`);
});

test("a connection for commands is not suspected", async () => {
  (await slow(80, { role: "commands" })).assertEnded(`${LOST}: the server closed it`);
});

test("whoever has caught up since is not suspected", async () => {
  const bench = new Bench();
  await bench.start("a");
  bench.connection.pause();
  for (let i = 0; i < 80; i++) bench.server.send(message(KIB));
  await settle();
  bench.connection.resume();
  await bench.clock.advance(200);
  for (let i = 0; i < 80; i++) {
    bench.server.send(message(KIB));
    await settle();
  }
  bench.server.close();
  await settle();
  bench.assertEnded(`${LOST}: the server closed it`);
});

test("a program that was too busy to read is told so as well", async () => {
  const bench = new Bench({ keepAlive: { idleMs: 10_000, timeoutMs: 5_000 } });
  await bench.start("a");
  await bench.clock.jump(5_000);
  for (let i = 0; i < 80; i++) bench.server.send(message(KIB));
  bench.server.close();
  await settle();
  await settle();
  bench.assertEnded(`${LOST}: the server closed it, ${SLOW}`);
});
