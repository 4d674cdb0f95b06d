/** What every transport must do, whatever carries its bytes. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { deadline, delay } from "@std/async";
import { ConnectionError } from "../../src/errors.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { test } from "../support/test.ts";
import { differsAt, KIB, MIB, pattern, readExactly, writePattern } from "./pattern.ts";
import { roomContract } from "./room_contract.ts";
import { tellingContract } from "./telling_contract.ts";

/** Two joined transports; disposing closes both and leaves nothing behind. */
export interface Pair extends AsyncDisposable {
  /** The side under test. */
  readonly near: Transport;
  readonly far: Transport;
}

export interface Leaf {
  readonly name: string;
  /** Sides whose platform reads on although nobody asks, so that writes to them never stall. @default {[]} */
  readonly neverStalls?: readonly ("near" | "far")[];
  /** Memory of its own instead of filling rooms, but for short reads. @default {undefined} */
  readonly brings?: "chunks" | undefined;
  /** Memory of its own into which it reads again and again. @default {false} */
  readonly lends?: boolean;
  /** Tells takers what has come. @default {false} */
  readonly tells?: boolean;
  pair(): Promise<Pair>;
}

/** No test may hang. */
const LIMIT_MS = 20_000;
/** Longer than any write takes that is not held up. */
const STALLED_MS = 400;
/** More than the kernel keeps for both ends of a loopback connection. */
const BOUND = 48 * MIB;

/** Registers a test of one pair of this leaf. */
export type Check = (sentence: string, body: (pair: Pair) => Promise<void>) => void;

export function transportContract(leaf: Leaf): void {
  const check: Check = (sentence, body) =>
    test(`${leaf.name}: ${sentence}`, async () => {
      await using pair = await leaf.pair();
      await deadline(body(pair), LIMIT_MS);
    });

  for (const size of [1, 1000, MIB]) {
    check(`${size} bytes arrive unchanged in both directions`, async ({ near, far }) => {
      for (const [from, to] of [[near, far], [far, near]] as const) {
        const sent = pattern(0, size);
        const [got] = await Promise.all([readExactly(to, size), from.write(sent)]);
        assertEquals(differsAt(got, 0), -1);
      }
    });
  }

  check("20 MiB cross 20 MiB of the other direction, in writes of uneven sizes", async ({ near, far }) => {
    const total = 20 * MIB;
    const [atNear, atFar] = await Promise.all([
      readExactly(near, total),
      readExactly(far, total),
      writePattern(near, total, [1, 17, 64 * KIB, 300 * KIB + 7, 5, 4 * MIB]),
      writePattern(far, total, [128 * KIB, 3, 64 * KIB - 1, 6 * MIB + 1]),
    ]);
    assertEquals(differsAt(atNear, 0), -1);
    assertEquals(differsAt(atFar, 0), -1);
  });

  check("writes that do not wait for one another arrive whole and in order", async ({ near, far }) => {
    const sizes = [3 * MIB, 1, 2 * MIB, 100];
    let position = 0;
    const writes = sizes.map((size) => near.write(pattern((position += size) - size, size)));
    const got = await readExactly(far, position);
    await Promise.all(writes);
    assertEquals(differsAt(got, 0), -1);
  });

  check("a chunk never changes after it was handed out", async ({ near, far }) => {
    const total = 3 * MIB;
    const writing = writePattern(far, total, [100, 5 * KIB, 70 * KIB]);
    const chunks: { chunk: Uint8Array; at: number }[] = [];
    for (let at = 0; at < total;) {
      const chunk = await near.read();
      assert(chunk !== undefined && chunk.byteLength > 0);
      chunks.push({ chunk, at });
      at += chunk.byteLength;
    }
    await writing;
    for (const { chunk, at } of chunks) assertEquals(differsAt(chunk, at), -1);
  });

  check("a chunk is a plain Uint8Array", async ({ near, far }) => {
    await Promise.all([near.write(pattern(0, 10)), far.write(pattern(0, 10))]);
    for (const side of [near, far]) {
      const chunk = await side.read();
      assertStrictEquals(Object.getPrototypeOf(chunk), Uint8Array.prototype);
    }
  });

  check("an empty write resolves and is no chunk", async ({ near, far }) => {
    await far.write(new Uint8Array());
    await far.write(pattern(0, 3));
    assertEquals((await near.read())?.byteLength, 3);
  });

  check("the peer's end comes after its data, and stays", async ({ near, far }) => {
    await far.write(pattern(0, 100 * KIB));
    far.close();
    assertEquals(differsAt(await readExactly(near, 100 * KIB), 0), -1);
    assertEquals(await near.read(), undefined);
    assertEquals(await near.read(), undefined);
  });

  check("what was written before the own close reaches the peer", async ({ near, far }) => {
    await near.write(pattern(0, 1000));
    near.close();
    assertEquals(differsAt(await readExactly(far, 1000), 0), -1);
    assertEquals(await far.read(), undefined);
  });

  check("a pending read resolves with undefined on the own close", async ({ near }) => {
    const reading = near.read();
    near.close();
    assertEquals(await reading, undefined);
  });

  check("a read after the own close resolves with undefined, even with bytes unread", async ({ near, far }) => {
    await far.write(pattern(0, 10));
    near.close();
    assertEquals(await near.read(), undefined);
    assertEquals(await near.read(), undefined);
  });

  check("close is idempotent on both sides", async ({ near, far }) => {
    near.close();
    near.close();
    far.close();
    far.close();
    assertEquals(await near.read(), undefined);
  });

  check("a write after the own close rejects", async ({ near }) => {
    near.close();
    await assertRejects(() => near.write(pattern(0, 1)), ConnectionError, "closed on this side");
    await assertRejects(() => near.write(new Uint8Array()), ConnectionError, "closed on this side");
  });

  check("a second read while one is pending rejects and leaves the first alone", async ({ near, far }) => {
    const reading = near.read();
    await assertRejects(() => near.read(), TypeError, "Cannot read: an earlier read is still pending");
    await far.write(pattern(0, 4));
    assertEquals(await reading, pattern(0, 4));
  });

  check("writes to a peer that is gone reject in the end", async ({ near, far }) => {
    far.close();
    const error = await assertRejects(async () => {
      for (let sent = 0; sent < BOUND; sent += 64 * KIB) {
        await near.write(pattern(0, 64 * KIB));
        // A peer in another process takes a moment to go, and may read as fast as we write until then.
        await delay(1);
      }
    }, ConnectionError);
    assert(!error.message.includes("on this side"), error.message);
  });

  if (!leaf.neverStalls?.includes("far")) {
    check("a pending write rejects on the own close", async ({ near }) => {
      const { pending } = await writeUntilStalled(near);
      near.close();
      await assertRejects(() => pending, ConnectionError, "closed on this side");
    });

    check("a reset by the peer ends or rejects reads and writes", async ({ near, far }) => {
      // Closed with bytes unread, a socket answers with a reset.
      const { pending } = await writeUntilStalled(near);
      const reading = near.read();
      far.close();
      await assertRejects(() => pending, ConnectionError);
      const outcome = await reading.catch((error: unknown) => error);
      if (outcome !== undefined) assertInstanceOf(outcome, ConnectionError);
    });
  }

  if (!leaf.neverStalls?.includes("near")) {
    check("an endless peer is stopped while nobody reads, and goes on when somebody does", async ({ near, far }) => {
      const { accepted, pending } = await writeUntilStalled(far);
      const got = await readExactly(near, accepted + 64 * KIB);
      await pending;
      assertEquals(differsAt(got, 0), -1);
      await far.write(pattern(0, 9));
      assertEquals(await near.read(), pattern(0, 9));
    });

    check("an endless peer is stopped as soon as nobody reads into rooms any more", async ({ near, far }) => {
      const room = new Uint8Array(64 * KIB);
      const first = near.read(room);
      const { accepted, pending } = await writeUntilStalled(far);
      const head = (await first)?.slice();
      assert(head !== undefined);
      assertEquals(differsAt(head, 0), -1);
      const rest = await readExactly(near, accepted + 64 * KIB - head.byteLength, room);
      await pending;
      assertEquals(differsAt(rest, head.byteLength), -1);
    });
  }

  roomContract(leaf, check);
  if (leaf.tells) tellingContract(leaf, check);
}

/** Writes 64 KiB at a time until a write does not resolve, which it must before {@linkcode BOUND}. */
async function writeUntilStalled(to: Transport): Promise<{ accepted: number; pending: Promise<void> }> {
  for (let accepted = 0; accepted < BOUND; accepted += 64 * KIB) {
    const pending = to.write(pattern(accepted, 64 * KIB));
    const outcome = await deadline(pending.then(() => "taken"), STALLED_MS).catch((error: Error) => {
      if (error.name !== "TimeoutError") throw error;
      return "stalled";
    });
    if (outcome === "stalled") return { accepted, pending };
  }
  throw new Error(`No backpressure: ${BOUND} bytes were taken that nobody reads`);
}
