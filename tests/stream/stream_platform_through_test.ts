/** Where a stream of ours goes through others, and becomes something else, against one of the platform's. */

import { Readable } from "node:stream";
import { byTurn, compare, likePlatform, type Scene } from "./platform.ts";
import { test } from "../support/test.ts";
import { all } from "../support/turn.ts";

/** The items of a stream as text. */
function texts(scene: Scene): ReadableStream<string> {
  const transform = (chunk: unknown, controller: TransformStreamDefaultController<string>) =>
    controller.enqueue(String(scene.item(chunk)));
  return scene.stream.pipeThrough(new TransformStream<unknown, string>({ transform }));
}

likePlatform("pipeThrough() a transform that passes on: the end comes, and little is taken ahead", async (scene) => {
  scene.put(1, 2, 3, 4, 5, 6);
  const through = new TransformStream();
  const readable = scene.stream.pipeThrough(through);
  scene.note(`the same: ${readable === through.readable}, locked: ${scene.stream.locked}, ${through.writable.locked}`);
  await scene.turn();
  scene.note(`waiting: ${scene.waiting}`);
  const reader = readable.getReader();
  for (let i = 0; i < 7; i++) {
    scene.watch("read", reader.read());
    await scene.turn();
    scene.note(`waiting: ${scene.waiting}`);
    if (i === 3) scene.end();
  }
  scene.note(`locked: ${scene.stream.locked}, ${through.writable.locked}`);
});

test("Like the platform: a transform that fails, ends early or is cancelled cancels the stream; a cause goes through", async () => {
  const transforms: Record<string, (scene: Scene) => Transformer<unknown, unknown>> = {
    "fails": (scene) => ({ transform: () => Promise.reject(scene.error("transform")) }),
    "ends early": () => ({ transform: (_, controller) => controller.terminate() }),
    "fails at its end": (scene) => ({ flush: () => Promise.reject(scene.error("flush")) }),
    "makes two of one": () => ({
      transform: (chunk, controller) => {
        controller.enqueue(chunk);
        controller.enqueue(chunk);
      },
    }),
  };
  for (const [what, make] of Object.entries(transforms)) {
    for (const how of ["end", "fail", "cancel", "nothing"]) {
      await compare(`it ${what}; ${how}`, async (scene) => {
        const reader = scene.stream.pipeThrough(new TransformStream(make(scene))).getReader();
        scene.watch("closed", reader.closed);
        for (let i = 0; i < 2; i++) scene.watch("read", reader.read());
        scene.put(1);
        await scene.turn();
        if (how === "end") scene.end();
        else if (how === "fail") scene.fail(scene.error("cause"));
        else if (how === "cancel") scene.watch("cancel", reader.cancel("enough"));
        await scene.turn();
        scene.watch("last read", reader.read());
        await scene.turn();
        scene.note(`locked: ${scene.stream.locked}`);
        await scene.rest();
      });
    }
  }
});

test("Like the platform: pipeThrough() refuses what is no transform, and what is locked; nothing is locked then", async () => {
  const pairs: (() => unknown)[] = [
    () => undefined,
    () => ({}),
    () => ({ readable: new ReadableStream() }),
    () => ({ writable: new WritableStream() }),
    () => ({ readable: {}, writable: new WritableStream() }),
    () => {
      const through = new TransformStream();
      through.writable.getWriter();
      return through;
    },
  ];
  for (const [i, make] of pairs.entries()) {
    await compare(`pair ${i}`, async (scene) => {
      scene.put(1);
      scene.attempt("pipeThrough", () => scene.stream.pipeThrough(make() as TransformStream));
      await scene.rest();
    });
  }
});

likePlatform("a transform that has failed before leaves no rejection unhandled", async (scene) => {
  const failed = new WritableStream({ start: (controller) => controller.error(scene.error("sink")) });
  scene.stream.pipeThrough({ writable: failed, readable: new ReadableStream() });
  await scene.turn();
  scene.note(`locked: ${scene.stream.locked}`);
});

likePlatform("text, compressed and back, is what it was", async (scene) => {
  scene.put(..."one two three".split(" "), "vier ✓", "\u{1F600}".repeat(1_000));
  scene.end();
  const compressed = texts(scene).pipeThrough(new TextEncoderStream()).pipeThrough(new CompressionStream("gzip"));
  const back = compressed.pipeThrough(new DecompressionStream("gzip")).pipeThrough(new TextDecoderStream());
  scene.note((await all(back)).join(""));
});

likePlatform("a Response has what comes, to its end", async (scene) => {
  scene.put("hel", "lo");
  const text = new Response(texts(scene).pipeThrough(new TextEncoderStream())).text();
  await scene.turn();
  scene.put(" world");
  await scene.turn();
  scene.end();
  scene.note(await text);
});

likePlatform("a Response of a stream that fails fails, and one that is cancelled cancels", async (scene) => {
  const response = new Response(texts(scene).pipeThrough(new TextEncoderStream()));
  const reader = response.body!.getReader();
  scene.put("hello");
  const { value } = await reader.read();
  scene.note(new TextDecoder().decode(value));
  await reader.cancel("enough");
  await scene.rest();
});

likePlatform("a Response of a stream that fails tells its reader", async (scene) => {
  const response = new Response(texts(scene).pipeThrough(new TextEncoderStream()));
  scene.put("hello");
  const read = response.text().then(() => "text", (error) => error instanceof Error ? "an error" : String(error));
  await scene.turn();
  scene.fail(scene.error("cause"));
  scene.note(await read);
});

test("Like the platform: ReadableStream.from() a stream or its iterator", async () => {
  const from = (ReadableStream as unknown as { from(items: AsyncIterable<unknown>): ReadableStream<unknown> }).from;
  for (const given of ["the stream", "its iterator"]) {
    for (const how of ["end", "fail", "cancel"]) {
      await compare(`${given}, ${how}`, async (scene) => {
        const made = from(given === "the stream" ? scene.stream : scene.stream.values());
        scene.note(`a ReadableStream: ${made.constructor === ReadableStream}, locked: ${scene.stream.locked}`);
        scene.put(1, 2);
        const reader = made.getReader();
        scene.watch("closed", reader.closed);
        for (let i = 0; i < 2; i++) scene.watch("read", reader.read());
        await scene.turn();
        scene.note(`waiting: ${scene.waiting}`);
        if (how === "end") scene.end();
        else if (how === "fail") scene.fail(scene.error("cause"));
        else scene.watch("cancel", reader.cancel("enough"));
        await scene.turn();
        scene.watch("last read", reader.read());
        await scene.turn();
        await scene.rest();
      }, { allow: byTurn });
    }
  }
});

test("Like the platform: Readable.fromWeb() reads a stream to its end or failure, and destroying it cancels", async () => {
  for (const how of ["end", "fail", "destroy"]) {
    await compare(how, async (scene) => {
      scene.put("a", "b");
      const made = Readable.fromWeb(scene.stream as Parameters<typeof Readable.fromWeb>[0], { objectMode: true });
      const read = async () => {
        let count = 0;
        for await (const chunk of made) {
          scene.note(`item ${scene.item(chunk)}`);
          if (++count < 2) continue;
          if (how === "destroy") break;
          if (how === "end") scene.end();
          else scene.fail(scene.error("cause"));
        }
      };
      await read().then(() => scene.note("the end"), (error) => scene.note(`failed: ${error.message}`));
      for (let i = 0; i < 5; i++) await scene.turn();
    });
  }
});
