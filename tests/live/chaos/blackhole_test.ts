import { Client, type ClientEvent, type Message, TimeoutError } from "@earshot/redis";
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { inTime, NOT_OURS } from "../../support/ground.ts";
import { FarServer, noNamespaces, type Route } from "../../support/namespace.ts";
import { testUnless } from "../../support/skip.ts";
import { until } from "../../support/until.ts";

const KEEP_ALIVE = { idleMs: 300, timeoutMs: 300 };
/** The last look, and what a busy machine may add, in milliseconds. */
const SLACK_MS = 1_550;

const ROUTES: readonly Route[] = ["there", "back"];

for (const protocol of [3, 2] as const) {
  for (const route of ROUTES) {
    const title = `A route ${route} that the kernel drops is noticed in time, and survived: RESP${protocol}`;
    testUnless(NOT_OURS ?? noNamespaces(), title, () => inTime(isSurvived(protocol, route)));
  }
}

async function isSurvived(protocol: 2 | 3, route: Route): Promise<void> {
  await using server = await FarServer.start();
  await using raw = await server.raw();
  const events: ClientEvent[] = [];
  const count = (type: ClientEvent["type"]) => events.filter((event) => event.type === type).length;
  await using client = new Client({
    host: server.host,
    port: server.port,
    protocol,
    keepAlive: KEEP_ALIVE,
    connectTimeoutMs: 300,
    closeTimeoutMs: 200,
    reconnect: { initialDelayMs: 10, maxDelayMs: 50 },
    onEvent: (event) => events.push(event),
  });
  const news = await client.subscribe("news");
  await raw.ask("PUBLISH", "news", "before");
  await until("the first message", 5_000, () => news.stats().received === 1);

  server.part(route);
  const parted = Date.now();
  assertEquals(await raw.ask("PUBLISH", "news", "meanwhile"), 1);
  await until("a loss", 10_000, () => count("disconnected") > 0);
  const noticedMs = Date.now() - parted;
  const lost = events.find((event) => event.type === "disconnected");
  assert(lost?.type === "disconnected" && lost.error instanceof TimeoutError && lost.error.what === "PONG");
  const boundMs = KEEP_ALIVE.idleMs + KEEP_ALIVE.timeoutMs;
  assert(noticedMs >= boundMs - 50 && noticedMs <= boundMs + SLACK_MS, `It was noticed after ${noticedMs} ms`);
  await delay(200);
  assertEquals(count("gap"), 0);

  server.join(route);
  await until("a recovery", 10_000, () => count("gap") === 1);
  const downMs = Date.now() - parted;
  await raw.ask("PUBLISH", "news", "after");
  // What the server sends arrives while only our side is parted, and nothing that we say does.
  const expected = route === "there" ? ["before", "meanwhile", "after"] : ["before", "after"];
  const heard: Message[] = [];
  for await (const message of news) if (heard.push(message) === expected.length) break;
  assertEquals(heard.map(({ payload }) => payload), expected);
  assertEquals(
    heard.map(({ gap }) => gap?.reasons),
    expected.map((text) => text === "after" ? ["reconnect"] : undefined),
  );
  const gap = heard.at(-1)!.gap!;
  assert(Math.abs(gap.since.getTime() - parted) <= 250, `since ${gap.since.getTime() - parted} ms after it was parted`);
  assert(Math.abs(gap.downMs - downMs) <= 350, `downMs ${gap.downMs}, and it took ${downMs} ms`);
}
