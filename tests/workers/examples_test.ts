/** The examples of Workers, bundled with the npm package, in `workerd`, on a real Redis: see `scripts/test_workers.ts`. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async";
import { inTime, NOT_OURS } from "../support/ground.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { startServer } from "../support/redis_server.ts";
import { testUnless } from "../support/skip.ts";
import { NO_FILES, startTls } from "../support/tls_server.ts";
import { until } from "../support/until.ts";
import { startWorkerd } from "../support/workerd/workerd.ts";

/** The folder of the project; the step that runs this file makes it. */
const PROJECT = Deno.env.get("EARSHOT_WORKERS") ?? "";
const LIMIT_MS = 10_000;

for (const protocol of ["redis", "rediss"] as const) {
  testUnless(
    NO_FILES,
    `sse.ts streams a channel over ${protocol}, across a killed connection, until it is left`,
    () => {
      return inTime(streamsAChannel(protocol));
    },
  );
}

async function streamsAChannel(protocol: "redis" | "rediss"): Promise<void> {
  await using server = await startTls();
  await using raw = await RawConnection.open(server.port);
  const url = `${protocol}://localhost:${protocol === "rediss" ? server.tlsPort : server.port}`;
  await using workerd = await startWorkerd(PROJECT, {
    bundle: "bundles/sse.js",
    env: { REDIS_URL: url, BEAT_MS: "100" },
  });

  const leave = new AbortController();
  const response = await fetch(`${workerd.url}/?channel=caf%C3%A9`, { signal: leave.signal });
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  assert(response.body !== null);
  const events = new Events(response.body);
  const subscribers = async () => Number((await raw.ask("PUBSUB", "NUMSUB", "café") as unknown[])[1]);
  assertEquals(await subscribers(), 1);
  await raw.ask("PUBLISH", "café", 'one\ntwo "three"');
  assertEquals(await events.next(), 'data: "one\\ntwo \\"three\\""');
  await raw.ask("CLIENT", "KILL", "TYPE", "pubsub");
  await until("the subscription stands again", LIMIT_MS, async () => await subscribers() === 1);
  await raw.ask("PUBLISH", "café", "after");
  assertMatch(await events.next(), /^event: gap\ndata: \{"reasons":\["reconnect"\],/);
  assertEquals(await events.next(), 'data: "after"');
  leave.abort();
  await until("the subscription is taken back", LIMIT_MS, async () => await subscribers() === 0);
  await until("only our own connection is left", LIMIT_MS, async () => {
    return String(await raw.ask("CLIENT", "LIST")).trim().split("\n").length === 1;
  });
}

testUnless(NOT_OURS, "sse.ts answers with an error where Redis is not to be had", async () => {
  const env = { REDIS_URL: "redis://user:secret@localhost:1" };
  await using workerd = await startWorkerd(PROJECT, { bundle: "bundles/sse.js", env });
  const response = await fetch(workerd.url);
  const text = await response.text();
  assertEquals([response.status, text.includes("secret")], [503, false]);
  assertMatch(text, /^Cannot connect to localhost:1: the platform does not tell why/);
});

testUnless(NOT_OURS, "fan_out.ts: WebSockets share one subscription, from the first to the last", async () => {
  await using server = await startServer();
  await using raw = await RawConnection.open(server.port);
  const env = { REDIS_URL: server.url };
  await using workerd = await startWorkerd(PROJECT, { bundle: "bundles/fan_out.js", env, objects: ["FanOut"] });
  const subscribers = async () => Number((await raw.ask("PUBSUB", "NUMSUB", "news") as unknown[])[1]);

  const sockets: Inbox[] = [];
  for (let i = 0; i < 3; i++) sockets.push(await Inbox.open(`${workerd.url.replace("http", "ws")}/news`));
  assertEquals(await subscribers(), 1);
  await raw.ask("PUBLISH", "news", "to all");
  for (const socket of sockets) assertEquals(await socket.next(), { payload: "to all" });
  sockets[0]?.send("from one");
  for (const socket of sockets) assertEquals(await socket.next(), { payload: "from one" });

  await raw.ask("CLIENT", "KILL", "TYPE", "pubsub");
  await until("the subscription stands again", LIMIT_MS, async () => await subscribers() === 1);
  await raw.ask("PUBLISH", "news", "after");
  for (const socket of sockets) {
    assertEquals(Object.keys(await socket.next()), ["gap"]);
    assertEquals(await socket.next(), { payload: "after" });
  }

  await sockets.pop()?.close();
  await raw.ask("PUBLISH", "news", "to two");
  for (const socket of sockets) assertEquals(await socket.next(), { payload: "to two" });
  for (const socket of sockets) await socket.close();
  await until("the last one unsubscribes", LIMIT_MS, async () => await subscribers() === 0);

  const again = await Inbox.open(`${workerd.url.replace("http", "ws")}/news`);
  assertEquals(await subscribers(), 1);
  await again.close();
});

/** The events of a body, one at a time. */
class Events {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = body.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next event, without its empty line, past the comments. */
  async next(): Promise<string> {
    while (!this.#text.includes("\n\n")) {
      const { value, done } = await deadline(this.#reader.read(), LIMIT_MS);
      if (done) throw new Error("The body has ended");
      this.#text += value;
    }
    const end = this.#text.indexOf("\n\n");
    const event = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 2);
    return event.startsWith(":") ? await this.next() : event;
  }
}

/** What comes on a WebSocket, one at a time. */
class Inbox {
  readonly #socket: WebSocket;
  readonly #arrived: string[] = [];
  #wake = () => {};

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      this.#arrived.push(String(data));
      this.#wake();
    };
  }

  static async open(url: string): Promise<Inbox> {
    const socket = new WebSocket(url);
    const inbox = new Inbox(socket);
    await deadline(
      new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = () => reject(new Error(`Cannot open ${url}`));
      }),
      LIMIT_MS,
    );
    return inbox;
  }

  async next(): Promise<Record<string, unknown>> {
    while (this.#arrived.length === 0) {
      await deadline(new Promise<void>((resolve) => this.#wake = resolve), LIMIT_MS);
    }
    return JSON.parse(this.#arrived.shift() ?? "");
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.close();
    await deadline(closed, LIMIT_MS);
  }
}
