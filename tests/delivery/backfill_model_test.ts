/** A stream that is joined with a log, whatever happens to its connection, its queue and its log. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Message } from "../../src/message.ts";
import { settle } from "../support/manual_clock.ts";
import { message, quietly } from "./backfill_scene.ts";
import { newDelivery } from "./fake_owner.ts";

/** How the log answers: it may fail after so many messages, or hang. */
type LogMood = { readonly type: "answers" } | { readonly type: "fails" | "hangs"; readonly after: number };

const MOOD: fc.Arbitrary<LogMood> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ type: "answers" as const }) },
  fc.record({ type: fc.constantFrom("fails" as const, "hangs" as const), after: fc.nat(3) }),
);

const STEP = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant("publish" as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("take" as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.constantFrom(...(["lost", "recovered", "refused"] as const)).map((type) => ({ type })) },
  { weight: 3, arbitrary: fc.constantFrom(...(["settle", "wait", "pass"] as const)).map((type) => ({ type })) },
);

for (const overflow of ["drop-oldest", "drop-newest", "block"] as const) {
  quietly(
    `With ${overflow} every message of the log comes once and in order, or an unfilled gap tells where it is missing`,
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(STEP, { maxLength: 40 }),
          fc.integer({ min: 1, max: 4 }),
          fc.array(MOOD, { maxLength: 6 }),
          async (steps, limit, moods) => {
            const log: number[] = [];
            let last = 0;
            let calls = 0;
            let up = true;
            async function* backfill(): AsyncGenerator<Message<string>> {
              const mood = moods[calls++] ?? { type: "answers" };
              let given = 0;
              for (let at = last; at < log.length; at++, given++) {
                if (mood.type !== "answers" && given === mood.after) {
                  if (mood.type === "fails") throw new Error("the log is away");
                  await new Promise(() => {});
                }
                yield message(String(log[at]));
              }
            }
            const { delivery, owner } = newDelivery({
              overflow,
              maxQueuedMessages: limit,
              backfill,
              backfillTimeoutMs: 50,
            });
            const check = ({ payload, gap }: Message<string>) => {
              const id = Number(payload);
              // The end of a log comes by itself, too.
              if (id <= last) return;
              if (gap?.backfill !== "unfilled") assertEquals(id, last + 1);
              last = id;
            };
            const take = (count: number) => {
              for (let message; count-- > 0 && (message = delivery.source.take()) !== undefined;) check(message);
            };
            const publish = () => {
              log.push(log.length + 1);
              if (up) delivery.deliver(message(String(log.length)), 1);
            };
            for (const step of steps) {
              switch (step.type) {
                case "publish":
                  for (let i = 0; i < step.count; i++) publish();
                  break;
                case "take":
                  take(step.count);
                  break;
                case "lost":
                  if (up) delivery.lost(owner.clock.ms);
                  up = false;
                  break;
                case "recovered":
                case "refused":
                  // Heard again before that is told.
                  up = true;
                  delivery.recovered(owner.clock.ms, step.type === "refused");
                  break;
                case "settle":
                  await settle();
                  break;
                case "wait":
                  delivery.source.wait();
                  break;
                case "pass":
                  owner.clock.pass(20);
              }
            }
            up = true;
            delivery.recovered(owner.clock.ms);
            // What was left out last is told on what comes next, for which there must be room.
            for (let i = 0; i < 2; i++) {
              for (let round = 0; round < 60; round++) {
                take(9);
                await settle();
                if (round % 10 === 9) owner.clock.pass(60);
              }
              if (i === 0) publish();
            }
            assertEquals([last, delivery.source.size], [log.length, 0]);
            delivery.end();
            owner.clock.pass(2_000);
            assertEquals([delivery.source.state, owner.clock.pending], ["ended", 0]);
            assert(delivery.counts().queued === 0);
          },
        ),
        { numRuns: 150, seed: 5 },
      );
    },
  );
}
