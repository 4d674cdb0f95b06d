/** What a transport of ours must do that tells a taker what one read has brought. */

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { delay } from "@std/async";
import type { ConnectionError } from "../../src/errors.ts";
import { promised, type Taker, type TellingTransport, type Transport } from "../../src/transport/transport.ts";
import { Dice } from "../support/dice.ts";
import { until } from "../support/until.ts";
import { differsAt, KIB, MARK, MIB, pattern, writePattern } from "./pattern.ts";
import type { Check, Leaf } from "./transport_contract.ts";

/** Nothing that is to be told takes longer, in milliseconds. */
const LIMIT_MS = 10_000;

export function tellingContract(leaf: Leaf, check: Check): void {
  for (const roomBytes of [1, 100, 4 * KIB, 256 * KIB]) {
    check(
      `a taker with a room of ${roomBytes} bytes that reads on when it is told gets all, then the end`,
      async (pair) => {
        const total = roomBytes === 1 ? 3_000 : 3 * MIB;
        const writing = writePattern(pair.far, total, [100, 70 * KIB, 5, MIB]).then(() => pair.far.close());
        const listener = new Listener(pair.near, roomBytes, "reads on");
        listener.read();
        assertEquals([await listener.over, listener.at, listener.wrongAt], [undefined, total, undefined]);
        await writing;
      },
    );
  }

  check("nothing is told before the call has returned, and one thing for each", async ({ near, far }) => {
    await far.write(pattern(0, 1_000));
    far.close();
    const listener = new Listener(near, 64, "waits");
    for (let told = 1; listener.at < 1_000; told++) {
      // What is there already may come in the same turn, and before it.
      if (told % 2 === 0) await delay(1);
      listener.read();
      await until(`it is told ${told} times`, LIMIT_MS, () => listener.told === told);
    }
    listener.read();
    assertEquals([await listener.over, listener.wrongAt], [undefined, undefined]);
  });

  check("a second taker is refused while one waits, and the first one has what comes", async ({ near, far }) => {
    const [first, second] = [new Listener(near, 64, "waits"), new Listener(near, 64, "waits")];
    first.read();
    assertThrows(() => second.read(), TypeError, "Cannot read: an earlier read is still pending");
    await far.write(pattern(0, 10));
    await until("the first is told", LIMIT_MS, () => first.told > 0);
    assertEquals([first.at, second.told], [10, 0]);
  });

  check("a close tells a taker that waits the end, and one that comes after it", async ({ near }) => {
    for (const _ of ["waits", "comes after it"]) {
      const listener = new Listener(near, 64, "waits");
      listener.read();
      near.close();
      assertEquals([await listener.over, listener.told], [undefined, 1]);
    }
  });

  check("a room is written to while it waits, and not after that", async ({ near, far }) => {
    // Short ones, each of which may come while one room waits, or none.
    const counts = [10, 20, 30, 1_000, 10, 10, 10, 300, 1];
    const dice = new Dice(71);
    let at = 0;
    let told = 0;
    let wrongAt: number | undefined;
    let waiting: Uint8Array<ArrayBuffer> | undefined;
    const rooms = Array.from({ length: 3 }, () => new Uint8Array(2 * KIB).fill(MARK));
    const read = () => {
      const room = waiting = dice.pick(rooms);
      const took = (chunk: Uint8Array) => {
        told++;
        if (differsAt(chunk, at) !== -1) wrongAt ??= at;
        at += chunk.byteLength;
        room.fill(MARK);
        waiting = undefined;
        if (dice.next() < 2 / 3) read();
      };
      const taker: Taker = { filled: (count) => took(room.subarray(0, count)), took, ended: () => {} };
      (near as TellingTransport).readFor(taker, room);
    };
    let sent = 0;
    for (let turn = 0; turn < 60; turn++) {
      const count = counts[turn % counts.length]!;
      await far.write(pattern(sent, count));
      sent += count;
      await delay(1);
      for (const room of rooms) assert(room === waiting || room.every((byte) => byte === MARK));
      if (waiting === undefined) read();
    }
    await until("all is told", LIMIT_MS, () => {
      if (waiting === undefined) read();
      return at === sent;
    });
    assertEquals([at, wrongAt], [sent, undefined]);
    assert(told > 20);
  });

  check("a taker may close when it is told, and hears nothing more", async ({ near, far }) => {
    const listener = new Listener(near, 64, "closes");
    listener.read();
    await Promise.allSettled([far.write(pattern(0, 10 * KIB)), far.write(pattern(0, MIB))]);
    await until("it is told", LIMIT_MS, () => listener.told > 0);
    await delay(5);
    assertEquals(listener.told, 1);
    assertEquals(await near.read(), undefined);
  });

  if (!leaf.lends) return;
  check("what is lent is the taker's until the next read, with what stands before it", async ({ near, far }) => {
    const read = (room: Uint8Array<ArrayBuffer>) =>
      promised((taker) => (near as TellingTransport).readFor(taker, room), room);
    const total = 6 * MIB;
    const writing = writePattern(far, total, [2 * MIB, 5, 300 * KIB + 7]);
    const room = new Uint8Array(4 * KIB);
    const lent = new Set<ArrayBufferLike>();
    let loans = 0;
    for (let at = 0, turn = 0; at < total; turn++) {
      const chunk = await read(room);
      assert(chunk !== undefined && chunk.byteLength > 0);
      // Every third time it may come while it waits, in between at once.
      if (turn % 3 === 0) await delay(2);
      assertEquals(differsAt(chunk, at), -1);
      at += chunk.byteLength;
      if (chunk.buffer === room.buffer) continue;
      loans++;
      lent.add(chunk.buffer);
      new Uint8Array(chunk.buffer, 0, chunk.byteOffset + chunk.byteLength).fill(MARK);
    }
    await writing;
    assert(lent.size <= loans / 2, `${lent.size} buffers for ${loans} loans`);
    // A short one is copied.
    const reading = read(room);
    await far.write(pattern(0, 9));
    const chunk = await reading;
    assertStrictEquals(chunk?.buffer, room.buffer);
    assertEquals(chunk, pattern(0, 9));
  });
}

/** Compares what it is told with the pattern. */
class Listener implements Taker {
  /** Resolves with why nothing more comes. */
  readonly over: Promise<ConnectionError | undefined>;
  /** How much has come, where that left the pattern, and how often it was told anything. */
  at = 0;
  wrongAt: number | undefined;
  told = 0;
  readonly #transport: TellingTransport;
  readonly #room: Uint8Array<ArrayBuffer>;
  readonly #then: "reads on" | "waits" | "closes";
  #state: "calls" | "waits" = "waits";
  #end!: (error: ConnectionError | undefined) => void;

  constructor(transport: Transport, roomBytes: number, then: "reads on" | "waits" | "closes") {
    this.#transport = transport as TellingTransport;
    this.#room = new Uint8Array(roomBytes);
    this.#then = then;
    this.over = new Promise((resolve) => this.#end = resolve);
  }

  read(): void {
    this.#state = "calls";
    this.#transport.readFor(this, this.#room);
    this.#state = "waits";
  }

  filled(count: number): void {
    this.took(this.#room.subarray(0, count));
  }

  took(chunk: Uint8Array): void {
    if (this.#state === "calls" || chunk.byteLength === 0 || differsAt(chunk, this.at) !== -1) this.wrongAt ??= this.at;
    this.at += chunk.byteLength;
    this.told++;
    if (this.#then === "closes") this.#transport.close();
    if (this.#then === "reads on") this.read();
  }

  ended(error?: ConnectionError): void {
    if (this.#state === "calls") this.wrongAt ??= this.at;
    this.told++;
    this.#end(error);
  }
}
