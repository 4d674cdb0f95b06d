/** The streams that users hold, as streams of the platform: what a queue by itself cannot show. */

import { DecodeError, json, type Message, type PubSub } from "@earshot/redis";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { Readable } from "node:stream";
import { onStage, payloads, type Stage } from "../client/stage.ts";
import { CANNOT_TRANSFER } from "./platform.ts";
import { testUnless } from "../support/skip.ts";
import { all, turn } from "../support/turn.ts";
import { until } from "../support/until.ts";

const MAKERS: Record<string, (pubsub: PubSub) => ReadableStream<unknown>> = {
  readable: (pubsub) => pubsub.readable,
  "batches()": (pubsub) => pubsub.batches(),
  "stream()": (pubsub) => pubsub.stream({ channels: "news" }),
  "events()": (pubsub) => pubsub.events(),
};

/** Publishes, and waits until it has come. */
async function publish(stage: Stage, pubsub: PubSub<unknown>, ...sent: string[]): Promise<void> {
  const { received } = pubsub.stats();
  for (const payload of sent) stage.broker.publish("news", payload);
  await until("the messages", 5_000, () => pubsub.stats().received === received + sent.length);
}

/** Where messages are piped to. */
function sink(write: (payload: string) => void | Promise<void>): WritableStream<Message> {
  return new WritableStream({ write: ({ payload }) => write(payload) }, { highWaterMark: 1 });
}

for (const [name, make] of Object.entries(MAKERS)) {
  onStage(
    `${name} is a ReadableStream; a reader that brings its own buffer is refused, and holds no lock`,
    async (stage) => {
      const stream = make(await stage.client().subscribe("news"));
      assertInstanceOf(stream as unknown, ReadableStream as unknown as typeof Error);
      assertThrows(() => stream.getReader({ mode: "byob" }), TypeError);
      assertEquals([stream.locked, Object.prototype.toString.call(stream)], [false, "[object ReadableStream]"]);
    },
  );

  onStage(`Two readers of ${name} in turn, a loop and a pipe have everything between them`, async (stage) => {
    const pubsub = await stage.client().subscribe("news");
    const stream = make(pubsub);
    await pubsub.synced();
    const seen: unknown[] = [];
    // A batch is as long as what has come, so each is read before the next message comes; an event is one of many.
    const more = async (payload: string) => {
      if (name === "events()") await pubsub.subscribe(payload);
      else await publish(stage, pubsub, payload);
    };
    for (const payload of ["a", "b"]) {
      await more(payload);
      const reader = stream.getReader();
      seen.push((await reader.read()).value);
      reader.releaseLock();
    }
    await more("c");
    for await (const chunk of stream.values({ preventCancel: true })) {
      seen.push(chunk);
      break;
    }
    await more("d");
    const abort = new AbortController();
    const one = new WritableStream<unknown>({
      write: (chunk) => {
        seen.push(chunk);
        abort.abort();
      },
    });
    await stream.pipeTo(one, { preventCancel: true, signal: abort.signal }).catch(() => {});
    const shown = (chunk: unknown): unknown =>
      Array.isArray(chunk) ? chunk.map(shown).join() : (chunk as Message).payload ?? (chunk as { name: string }).name;
    assertEquals(seen.map(shown), ["a", "b", "c", "d"]);
    assertEquals([stream.locked, stage.broker.subscriberCount("news")], [false, 1]);
  });
}

onStage("A slow pipe takes one message at a time: the rest waits in the queue, and is counted there", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  await publish(stage, pubsub, "1", "2", "3", "4", "5");
  const queued: number[] = [];
  const piped = pubsub.readable.pipeTo(sink(async () => {
    await turn();
    queued.push(pubsub.stats().queued);
  }));
  await pubsub.drain();
  await piped;
  assertEquals(queued, [4, 3, 2, 1, 0]);
});

onStage(
  "A pipe that is aborted with preventCancel leaves the connection, and every message to the next",
  async (stage) => {
    const pubsub = await stage.client().subscribe("news");
    await publish(stage, pubsub, "1", "2", "3");
    const abort = new AbortController();
    const got: string[] = [];
    const slow = sink(async (payload) => {
      got.push(payload);
      if (payload === "2") abort.abort(new RangeError("enough"));
      await turn();
    });
    const piped = pubsub.readable.pipeTo(slow, { preventCancel: true, signal: abort.signal });
    await assertRejects(() => piped, RangeError, "enough");
    await publish(stage, pubsub, "4");
    for await (const { payload } of pubsub) if (got.push(payload) === 4) break;
    assertEquals(got, ["1", "2", "3", "4"]);
  },
);

onStage("A pipe that waits for a message when it is aborted leaves the message to the next", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  const abort = new AbortController();
  const piped = pubsub.readable.pipeTo(sink(() => {}), { preventCancel: true, signal: abort.signal });
  await turn();
  abort.abort(new RangeError("enough"));
  await assertRejects(() => piped, RangeError, "enough");
  await publish(stage, pubsub, "1", "2");
  const batches = pubsub.batches().getReader();
  assertEquals(payloads((await batches.read()).value!), ["1"]);
  assertEquals(payloads((await batches.read()).value!), ["2"]);
});

const LEAVERS: Record<string, (stream: ReadableStream<unknown>) => Promise<unknown>> = {
  "a transform": (stream) => stream.pipeThrough(new TransformStream()).cancel(),
  "a Response": (stream) => {
    const transform = (chunk: unknown, controller: TransformStreamDefaultController<string>) =>
      controller.enqueue(JSON.stringify(chunk));
    const text = stream.pipeThrough(new TransformStream<unknown, string>({ transform }));
    return new Response(text.pipeThrough(new TextEncoderStream())).body!.cancel();
  },
  "both branches": (stream) => Promise.all(stream.tee().map((branch) => branch.cancel())),
  "ReadableStream.from": (stream) =>
    (ReadableStream as unknown as { from(items: AsyncIterable<unknown>): ReadableStream<unknown> }).from(stream)
      .cancel(),
  "a Readable of Node": async (stream) => {
    const readable = Readable.from(stream, { objectMode: true });
    const closed = new Promise((resolve) => readable.once("close", resolve));
    readable.on("error", () => {}).destroy();
    await closed;
  },
  "a sink that fails": (stream) =>
    stream.pipeTo(new WritableStream({ start: (controller) => controller.error(new RangeError("full")) })).catch(
      () => {},
    ),
};

for (const [name, leave] of Object.entries(LEAVERS)) {
  onStage(`Whoever leaves ${name} closes the subscriber, or lets go of the local stream alone`, async (stage) => {
    const pubsub = await stage.client().subscribe("news");
    const local = pubsub.stream({ channels: "sport" });
    await pubsub.synced();
    await leave(local);
    await until("the end of the local stream", 5_000, () => stage.broker.subscriberCount("sport") === 0);
    assertEquals(stage.broker.subscriberCount("news"), 1);
    await leave(pubsub.readable);
    await until("the end of the connection", 5_000, () => stage.broker.connectionCount === 0);
  });
}

onStage(
  "A payload that cannot be decoded aborts a pipe with its cause, behind the messages before it",
  async (stage) => {
    const pubsub = await stage.client().subscribe<number>("news", { codec: json });
    for (const payload of ["1", "2", "{", "3"]) stage.broker.publish("news", payload);
    await turn();
    const written: unknown[] = [];
    const piped = pubsub.readable.pipeTo(
      new WritableStream({
        write: ({ payload }) => void written.push(payload),
        abort: (reason) => void written.push(reason instanceof DecodeError),
      }),
    );
    await assertRejects(() => piped, DecodeError);
    assertEquals(written, [1, 2, true]);
  },
);

onStage("Streams of events are apart: leaving one, however, leaves the others and the subscriber", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  const [left, cancelled, kept] = [pubsub.events(), pubsub.events(), pubsub.events()];
  await pubsub.subscribe("sport");
  for await (const event of left) {
    assertEquals(event.type, "subscribed");
    break;
  }
  await cancelled.cancel();
  await pubsub.unsubscribe("sport");
  assertEquals([await all(left), await all(cancelled)], [[], []]);
  const rest = all(kept);
  await pubsub.close();
  const types = (await rest).map(({ type }) => type);
  assertEquals(types.slice(0, 2), ["subscribed", "unsubscribed"]);
  assert(types.includes("closed"), types.join());
});

const TRANSFERRED = "A transferred stream has whole messages, with their gaps";

if (CANNOT_TRANSFER !== undefined) testUnless(CANNOT_TRANSFER, TRANSFERRED, () => {});
else {
  onStage(TRANSFERRED, async (stage) => {
    const pubsub = await stage.client().subscribe("news");
    await stage.blink(pubsub);
    await publish(stage, pubsub, "hello");
    const transfer = [pubsub.readable] as unknown as Transferable[];
    // Node waits for nobody who waits for a stream that was transferred.
    const awake = setInterval(() => {}, 1_000);
    const { value } = await structuredClone(pubsub.readable, { transfer }).getReader().read();
    clearInterval(awake);
    const { kind, channel, pattern, payload, gap } = value!;
    assertEquals([kind, channel, pattern, payload], ["channel", "news", undefined, "hello"]);
    assertEquals([gap?.reasons, gap?.since instanceof Date, gap?.dropped], [["reconnect"], true, 0]);
  });
}
