/**
 * Runs a scenario over streams of ours and over the platform's own, fed alike, and compares all that a consumer could
 * see, in its order. So every deviation from the platform is found, on whichever runtime the tests run.
 */

import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { Queue } from "../../src/stream/queue.ts";
import { BatchSource, QueueStream } from "../../src/stream/stream.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

/** A stream, and the end of it where items are put in. */
interface Made {
  readonly stream: ReadableStream<unknown>;
  put(item: unknown): void;
  end(): void;
  fail(error: unknown): void;
  /** How many items nobody has taken. */
  waiting(): number;
  /** The item that a chunk stands for. */
  item(chunk: unknown): unknown;
}

type Make = (onCancel: (reason: unknown) => Promise<void>) => Made;

/** The platform's own stream: what is put waits in its own queue. */
function pushed(onCancel: (reason: unknown) => Promise<void>): Made {
  let open = true;
  let controller!: ReadableStreamDefaultController<unknown>;
  const stream = new ReadableStream<unknown>({
    start: (made) => void (controller = made),
    cancel: (reason) => {
      open = false;
      return onCancel(reason);
    },
  }, { highWaterMark: 0 });
  const finish = (how: () => void) => {
    if (open) how();
    open = false;
  };
  return {
    stream,
    put: (item) => open && controller.enqueue(item),
    end: () => finish(() => controller.close()),
    fail: (error) => finish(() => controller.error(error)),
    waiting: () => -controller.desiredSize!,
    item: (chunk) => chunk,
  };
}

/** The platform's own stream over an array, an item a pull: as anybody would write it who must not run ahead. */
function pulled(onCancel: (reason: unknown) => Promise<void>): Made {
  const items: unknown[] = [];
  let ending: (() => void) | undefined;
  let wake = () => {};
  let controller!: ReadableStreamDefaultController<unknown>;
  const stream = new ReadableStream<unknown>({
    start: (made) => void (controller = made),
    pull: async () => {
      while (items.length === 0) {
        if (ending !== undefined) return;
        await new Promise<void>((resolve) => wake = resolve);
      }
      controller.enqueue(items.shift());
      if (items.length === 0) ending?.();
    },
    cancel: (reason) => {
      items.length = 0;
      finish(() => {});
      return onCancel(reason);
    },
  }, { highWaterMark: 0 });
  const finish = (how: () => void) => {
    if (ending !== undefined) return;
    ending = how;
    if (items.length === 0) how();
    wake();
  };
  const put = (item: unknown) => {
    if (ending !== undefined) return;
    items.push(item);
    wake();
  };
  return {
    stream,
    put,
    end: () => finish(() => controller.close()),
    fail: (error) => finish(() => controller.error(error)),
    waiting: () => items.length,
    item: (chunk) => chunk,
  };
}

function ofQueue(queue: Queue<unknown>): Omit<Made, "stream" | "item"> {
  return {
    put: (item) => queue.put(item),
    end: () => queue.end(),
    fail: (error) => queue.fail(error),
    waiting: () => queue.size,
  };
}

function queued(onCancel: (reason: unknown) => Promise<void>): Made {
  const queue = new Queue<unknown>(onCancel);
  return { ...ofQueue(queue), stream: new QueueStream(queue), item: (chunk) => chunk };
}

/** Chunks of one item each, so that they can be compared with items. */
function batched(onCancel: (reason: unknown) => Promise<void>): Made {
  const queue = new Queue<unknown>(onCancel);
  const stream = new QueueStream(new BatchSource(new QueueStream(queue).direct(), 1));
  return { ...ofQueue(queue), stream, item: (chunk) => (chunk as unknown[])[0] };
}

const PLATFORM = { pushed, pulled };
const OURS = { queued, batched };

/** Which of the platform's own streams ours is held against. */
export type Reference = keyof typeof PLATFORM;

/** What a scenario plays on, and writes down what it sees. */
export class Scene {
  readonly lines: string[] = [];
  /** What is done when the consumer has gone; its result is what `cancel()` waits for. */
  onCancel: (reason: unknown) => unknown = () => {};
  #made: Made;
  #errors = new Map<unknown, string>();

  constructor(make: Make) {
    this.#made = make((reason) => {
      this.note(`source: cancelled with ${this.#shown(reason)}`);
      return this.onCancel(reason) as Promise<void>;
    });
  }

  get stream(): ReadableStream<unknown> {
    return this.#made.stream;
  }

  get waiting(): number {
    return this.#made.waiting();
  }

  put(...items: unknown[]): void {
    for (const item of items) this.#made.put(item);
  }

  end(): void {
    this.#made.end();
  }

  fail(error: unknown): void {
    this.#made.fail(error);
  }

  /** An error that is known again when it comes out. */
  error(name: string): Error {
    const error = new Error(name);
    this.#errors.set(error, name);
    return error;
  }

  /** The item that a chunk stands for. */
  item(chunk: unknown): unknown {
    return this.#made.item(chunk);
  }

  note(line: string): void {
    this.lines.push(line);
  }

  /** Writes down how a promise settles. */
  watch(name: string, promise: PromiseLike<unknown>): void {
    promise.then(
      (value) => this.note(`${name}: ${this.#shown(value)}`),
      (error) => this.note(`${name} rejects: ${this.#shown(error)}`),
    );
  }

  /** Runs what may throw at once; what it returns is undefined then. */
  attempt<T>(name: string, run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      this.note(`${name} throws: ${this.#shown(error)}`);
      return undefined;
    }
  }

  /** Lets everything happen that is due. */
  async turn(): Promise<void> {
    await settle();
    await settle();
    this.note("—");
  }

  /** A stream to pipe to, which writes down what comes; what `own` says is done besides. */
  sink(own: UnderlyingSink<unknown> = {}, highWaterMark = 1): WritableStream<unknown> {
    return new WritableStream<unknown>({
      ...own,
      write: (chunk, controller) => {
        this.note(`sink: write ${this.#shown(this.item(chunk))}, waiting: ${this.waiting}`);
        return own.write?.(chunk, controller);
      },
      close: () => {
        this.note("sink: close");
        return own.close?.();
      },
      abort: (reason) => {
        this.note(`sink: abort, ${this.#shown(reason)}`);
        return own.abort?.(reason);
      },
    }, { highWaterMark });
  }

  /** Reads what is left, and whether that is the end. */
  async rest(): Promise<void> {
    if (this.stream.locked) return this.note("locked");
    const reader = this.stream.getReader();
    this.watch("closed", reader.closed);
    for (let i = 0; i < 5; i++) {
      this.watch("rest", reader.read());
      await this.turn();
    }
  }

  #shown(value: unknown): string {
    const known = this.#errors.get(value);
    if (known !== undefined) return known;
    if (value instanceof Error || value instanceof DOMException) return `a ${value.name}`;
    if (Array.isArray(value)) return `[${value.map((part) => this.#shown(part)).join(", ")}]`;
    if (typeof value !== "object" || value === null || !("done" in value && "value" in value)) return String(value);
    return value.done ? `done, ${this.#shown(value.value)}` : `item ${this.#shown(this.item(value.value))}`;
  }
}

export type Scenario = (scene: Scene) => void | Promise<void>;

async function play(make: Make, scenario: Scenario): Promise<string[]> {
  const scene = new Scene(make);
  await scenario(scene);
  await scene.turn();
  return scene.lines;
}

/** What to know of a comparison. */
export interface Comparison {
  /** @default {["pushed", "pulled"]} */
  readonly against?: readonly Reference[];
  /** Makes two records equal that differ in what is no difference. */
  readonly allow?: (lines: readonly string[]) => readonly string[];
}

/** An allowance: what happens within one turn is in no order, as where two parties go on by themselves. */
export function byTurn(lines: readonly string[]): string[] {
  return lines.join("\n").split("—").map((turn) => turn.trim().split("\n").sort().join("\n"));
}

/** Fails where a scenario shows that a stream of ours is unlike the platform's. */
export async function compare(what: string, scenario: Scenario, options: Comparison = {}): Promise<void> {
  const { against = ["pushed", "pulled"], allow = (lines) => lines } = options;
  const unhandled: unknown[] = [];
  const hear = (reason: unknown) => void unhandled.push(reason);
  process.on("unhandledRejection", hear);
  try {
    const ours: [string, readonly string[]][] = [];
    for (const [name, make] of Object.entries(OURS)) {
      ours.push([name, allow(await play(make, scenario))]);
      await settle();
      assertEquals(unhandled, [], `${name}: ${what}`);
    }
    for (const reference of against) {
      const lines = await play(PLATFORM[reference], scenario);
      assert(lines.length > 1, `Nothing is seen: ${what}`);
      for (const [name, seen] of ours) assertEquals(seen, allow(lines), `${name} is unlike ${reference}: ${what}`);
    }
  } finally {
    process.off("unhandledRejection", hear);
  }
}

/** Registers a test: in this scenario a consumer sees of ours what it sees of the platform's own streams. */
export function likePlatform(name: string, scenario: Scenario, options: Comparison = {}): void {
  test(`Like the platform: ${name}`, () => compare(name, scenario, options));
}

/** Why streams cannot be transferred here, if so. */
export const CANNOT_TRANSFER: string | undefined = (() => {
  const stream = new ReadableStream();
  try {
    structuredClone(stream, { transfer: [stream] as unknown as Transferable[] });
    return undefined;
  } catch {
    return "the runtime cannot transfer streams";
  }
})();

/**
 * Why pipes cannot be compared here, if so. Node 24 and 26 take a short way through pipes of their own streams, so that
 * "locked" is seen at another moment; and when the sink has failed before an item comes, an assertion of theirs fails where
 * nobody can handle it. The platform's own streams with `pull` do the latter, too.
 */
export const PIPES_DIFFER: string | undefined =
  "Deno" in globalThis || "Bun" in globalThis || !(Number.parseInt(process.versions?.node ?? "", 10) >= 24)
    ? undefined
    : "Node 24 and later pipe their own streams in another order than any other";
