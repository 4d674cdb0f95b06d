/** A supervisor over servers whose connections break at any time: in the end they serve what was asked for last. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Kind } from "../../src/message.ts";
import { KIND_NAMES, KINDS } from "../../src/protocol/kind.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { push } from "../support/wire.ts";
import { Bench } from "./supervisor_bench.ts";

type Step =
  | { readonly type: "subscribe" | "unsubscribe"; readonly kind: Kind; readonly name: string }
  | { readonly type: "disconnect" | "break at next dial" | "freeze" | "settle" | "revoke" }
  | { readonly type: "turns"; readonly count: number }
  | { readonly type: "advance"; readonly ms: number };

const kind = fc.constantFrom(...KIND_NAMES);
const name = fc.constantFrom("a", "b", "c");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant("subscribe" as const), kind, name }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("unsubscribe" as const), kind, name }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("disconnect" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom("break at next dial" as const, "freeze" as const, "revoke" as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("settle" as const) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("turns" as const), count: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 400 }) }) },
);

for (const protocol of [3, 2] as const) {
  test(`in RESP${protocol} whatever is subscribed, unsubscribed and broken, the last word counts`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), fc.nat(200), async (steps, breaksAfter) => {
        const broken = new Set<number>();
        const bench = new Bench({
          protocol,
          waitOnFirstConnect: true,
          keepAlive: { idleMs: 10_000, timeoutMs: 5_000 },
          breaksAfter: (count) => broken.delete(count) ? breaksAfter : Infinity,
        });
        const wanted: Readonly<Record<Kind, Set<string>>> = {
          channel: new Set(),
          pattern: new Set(),
          shard: new Set(),
        };
        const calls: Promise<unknown>[] = [];
        for (const step of steps) {
          switch (step.type) {
            case "subscribe":
              wanted[step.kind].add(step.name);
              bench.supervisor.want(step.kind, bench.supervisor.desired.enter(step.kind, [step.name]));
              calls.push(bench.supervisor.wait(KINDS[step.kind].subscribe, "present", [step], {}));
              break;
            case "unsubscribe":
              wanted[step.kind].delete(step.name);
              bench.supervisor.drop(step.kind, step.name);
              calls.push(bench.supervisor.wait(KINDS[step.kind].unsubscribe, "absent", [step], {}));
              break;
            case "disconnect":
              bench.network.connections.at(-1)?.close();
              break;
            case "freeze": {
              const connection = bench.network.connections.at(-1);
              if (connection?.state === "open") connection.state = "frozen";
              break;
            }
            case "revoke": {
              const connection = bench.network.connections.at(-1);
              const [name] = connection?.peer.names.shard ?? [];
              if (connection === undefined || name === undefined) break;
              connection.peer.names.shard.delete(name);
              connection.send(push("sunsubscribe", name, connection.peer.names.shard.size));
              break;
            }
            case "break at next dial":
              broken.add(bench.network.dials + 1);
              break;
            case "settle":
              await settle();
              break;
            case "turns":
              for (let turn = 0; turn < step.count; turn++) await Promise.resolve();
              break;
            case "advance":
              await bench.clock.advance(step.ms);
          }
        }
        // Long enough for the PONGs, too, to use up what a connection that breaks lets through.
        await bench.clock.advance(400_000);
        await Promise.all(calls);
        if (bench.network.connections.length > 0) {
          const expected = KIND_NAMES.flatMap((kind) => [...wanted[kind]].map((name) => `${kind} ${name}`)).sort();
          assertEquals(bench.served(), expected);
          assertEquals(bench.network.open, 1);
          assertEquals(bench.states().every((line) => line.endsWith(" subscribed")), true);
        }
        assertEquals(bench.causes.filter(({ name }) => name === "ProtocolError"), []);
        const closing = bench.supervisor.close();
        await bench.clock.advance(0);
        await closing;
        await bench.assertLeftNothing();
      }),
      { numRuns: 150 },
    );
  });
}
