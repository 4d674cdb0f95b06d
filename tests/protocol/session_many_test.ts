import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "../support/test.ts";
import { push, refusal } from "../support/wire.ts";
import { Bench } from "./session_bench.ts";

const NOPERM = refusal("NOPERM this user has no permissions to access one of the channels used as arguments");

function names(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `name-${i}`);
}

/** What a server does that refuses a whole command for one name. */
function answer(bench: Bench, refused: ReadonlySet<string>): string[] {
  const events: string[] = [];
  for (let lines; (lines = bench.sent()).length > 0;) {
    for (const line of lines) {
      const [verb = "", ...asked] = line.split(" ");
      const isRefused = verb === "SUBSCRIBE" && asked.some((name) => refused.has(name));
      const replies = isRefused ? [NOPERM] : asked.map((name) => push(verb.toLowerCase(), name, 1));
      events.push(...bench.hear(...replies));
    }
  }
  return events;
}

for (const protocol of [3, 2] as const) {
  const inProtocol = `in RESP${protocol}`;

  test(`${inProtocol} a few names have a command each, of many a command carries some hundred`, () => {
    const bench = new Bench({ protocol });
    bench.want("channel", ...names(1_000));
    bench.open();
    const lines = bench.sent();
    const sizes = lines.map((line) => line.split(" ").length - 1);
    assertEquals(sizes, [512, 488]);
    assertEquals(lines.flatMap((line) => line.split(" ").slice(1)), names(1_000));
    assertEquals(new Set(lines.map((line) => line.split(" ")[0])), new Set(["SUBSCRIBE"]));
    const few = new Bench({ protocol });
    few.want("channel", ...names(16));
    few.open();
    assertEquals(few.sent(), names(16).map((name) => `SUBSCRIBE ${name}`));
  });

  test(`${inProtocol} commands go out in the order in which they were asked for, whatever stands between`, () => {
    const bench = new Bench({ protocol });
    bench.open();
    bench.want("channel", ...names(18));
    bench.session.command("PING", ["PING"], 0);
    bench.want("channel", "x");
    bench.want("pattern", "p", "q");
    bench.want("shard", "s", "t");
    const lines = bench.sent();
    assertEquals(lines.slice(16), [
      "SUBSCRIBE name-16 name-17",
      "PING",
      "SUBSCRIBE x",
      "PSUBSCRIBE p q",
      "SSUBSCRIBE s",
      "SSUBSCRIBE t",
    ]);
    // The next ones are a few again.
    bench.want("channel", "y", "z");
    assertEquals(bench.sent(), ["SUBSCRIBE y", "SUBSCRIBE z"]);
  });

  test(`${inProtocol} a command that is not written yet counts as output`, () => {
    const bench = new Bench({ protocol });
    bench.open();
    bench.want("channel", ...names(16));
    bench.sent();
    assert(!bench.session.hasOutput);
    bench.want("channel", ...names(40));
    assert(bench.session.hasOutput);
    assertEquals(bench.sent().length, 17);
    assert(!bench.session.hasOutput);
  });

  test(`${inProtocol} whichever of many names are refused, each is told, and all others are had`, () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(599), { maxLength: 5 }), (indexes) => {
        const refused = new Set(indexes.map((i) => `name-${i}`));
        const bench = new Bench({ protocol });
        bench.want("channel", ...names(600));
        bench.open();
        const events = answer(bench, refused);
        const expected = names(600).map((name) =>
          refused.has(name) ? `denied channel ${name}: NOPERM` : `subscribed channel ${name}`
        );
        assertEquals(events.slice(0, -1).sort(), expected.sort());
        assertEquals(events.at(-1), "synced");
        assertEquals([bench.session.subscriptions?.unsettled, bench.session.deadline()], [0, Infinity]);
      }),
      { numRuns: 40 },
    );
  });

  test(`${inProtocol} names that are dropped while their command is on its way are left again, many at a time`, () => {
    const bench = new Bench({ protocol });
    bench.open();
    bench.want("channel", ...names(600));
    const lines = bench.sent();
    bench.drop("channel", ...names(600));
    assertEquals(bench.sent(), []);
    bench.hear(...lines.flatMap((line) => line.split(" ").slice(1)).map((name) => push("subscribe", name, 1)));
    const left = bench.sent();
    assertEquals(left.flatMap((line) => line.split(" ").slice(1)), names(600));
    assertEquals(left.length, 18);
    const events = bench.hear(...names(600).map((name) => push("unsubscribe", name, 0)));
    assertEquals(events.at(-1), "synced");
    assertEquals(bench.session.subscriptions?.size, 0);
  });
}
