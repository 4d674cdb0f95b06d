import { Client, type ClientOptions, ConnectionError } from "@earshot/redis";
import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inTime } from "../support/ground.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { startServer } from "../support/redis_server.ts";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";
import { NO_FILES, pem, startTls } from "../support/tls_server.ts";
import { until } from "../support/until.ts";

testUnless(NO_FILES, "A unix socket carries both protocols, by option and by URL", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "redis.sock");
  await using server = await startServer({ args: ["--unixsocket", path, "--unixsocketperm", "700"] });
  for (const options of [{ path }, { path, protocol: 2 }, { url: `unix://${path}` }] satisfies ClientOptions[]) {
    await inTime(isHeardAcrossAKill(options, server.port));
  }
});

testUnless(NO_FILES, "TLS carries both protocols, by option and by URL", async () => {
  await using server = await startTls();
  const tls = { caCerts: [pem("ca.pem")], serverName: "localhost" };
  const where = { host: "127.0.0.1", port: server.tlsPort };
  const url = `rediss://127.0.0.1:${server.tlsPort}`;
  for (const options of [{ ...where, tls }, { ...where, tls, protocol: 2 }, { url, tls }] satisfies ClientOptions[]) {
    await inTime(isHeardAcrossAKill(options, server.port));
  }
});

for (
  const [options, says] of [
    [{ host: "earshot.invalid" }, "the host name cannot be resolved"],
    [{ host: "127.0.0.1", port: 1 }, "connection refused"],
  ] as const
) {
  test(`Nobody at ${JSON.stringify(options)} is tried again and again, and told as: ${says}`, async () => {
    const causes: string[] = [];
    await using redis = new Client({
      ...options,
      waitOnFirstConnect: true,
      reconnect: { initialDelayMs: 5 },
      onEvent: (event) => void (event.type === "disconnected" && causes.push(event.error.message)),
    });
    const waiting = redis.subscribe("news").catch((error) => error);
    await until("three attempts", 10_000, () => causes.length >= 3);
    for (const cause of causes) assertStringIncludes(cause, says);
    await redis.close();
    assertInstanceOf(await waiting, ConnectionError);
  });
}

/** Publishes and receives, before and after the connection is killed. */
async function isHeardAcrossAKill(options: ClientOptions, rawPort: number): Promise<void> {
  await using raw = await RawConnection.open(rawPort);
  await using redis = new Client({ ...options, reconnect: { initialDelayMs: 5 } });
  const large = "x".repeat(300_000);
  await using news = await redis.subscribe("news");
  assertEquals(await redis.publish("news", "small"), 1);
  assertEquals(await redis.publish("news", large), 1);
  // A kill discards what the server has not sent yet.
  await until("both messages", 5_000, () => news.stats().received === 2);
  const events = news.events();
  await raw.ask("CLIENT", "KILL", "TYPE", "pubsub");
  for await (const { type } of events) if (type === "gap") break;
  assertEquals(await redis.publish("news", "after"), 1);

  const heard: unknown[] = [];
  for await (const { payload, gap } of news) {
    if (heard.push([payload === large ? "large" : payload, gap?.reasons]) === 3) break;
  }
  assertEquals(heard, [["small", undefined], ["large", undefined], ["after", ["reconnect"]]]);
  assertEquals(await raw.ask("PUBSUB", "NUMSUB", "news"), ["news", 0]);
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "earshot-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
