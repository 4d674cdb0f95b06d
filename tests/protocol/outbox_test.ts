import { assertEquals } from "@std/assert";
import { Outbox, type SubscriptionCommand } from "../../src/protocol/outbox.ts";
import { test } from "../support/test.ts";
import { commandLines } from "../support/wire.ts";

const place = (name: string) => ({ name, state: "subscribing" as const });

/** Asks for more names than have a command of their own, so that those that follow share one. */
function filled(): Outbox {
  const outbox = new Outbox();
  for (let i = 0; i < 16; i++) outbox.ask("subscribe", "channel", place(`few-${i}`));
  for (let i = 0; i < 16; i++) outbox.settle("subscribe", "channel", `few-${i}`);
  return outbox;
}

function ask(outbox: Outbox, type: SubscriptionCommand["type"], names: string): Outbox {
  for (const name of names) outbox.ask(type, "channel", place(name));
  return outbox;
}

/** The names of the oldest command that are still due. */
function left({ first }: Outbox): string | undefined {
  return first?.type === "subscribe" ? first.places.slice(first.next).map(({ name }) => name).join("") : first?.type;
}

test("a command is due until every one of its names is settled, in whatever order", () => {
  for (const order of ["abcd", "dcba", "bdac"]) {
    const outbox = ask(filled(), "subscribe", "abcd");
    const seen = [...order].map((name) => {
      assertEquals(outbox.settle("subscribe", "channel", name), true);
      return left(outbox);
    });
    assertEquals(seen.at(-1), undefined);
    assertEquals(seen.map((names) => names?.length ?? 0), [3, 2, 1, 0]);
  }
});

test("a name is settled once, and only for its type and kind", () => {
  const outbox = ask(filled(), "subscribe", "ab");
  assertEquals(outbox.settle("unsubscribe", "channel", "a"), false);
  assertEquals(outbox.settle("subscribe", "pattern", "a"), false);
  assertEquals(outbox.settle("subscribe", "channel", "c"), false);
  assertEquals(outbox.settle("subscribe", "channel", "a"), true);
  assertEquals(outbox.settle("subscribe", "channel", "a"), false);
  assertEquals(left(outbox), "b");
});

test("a name that is due behind other commands is settled there, and they stay as they are", () => {
  const outbox = filled();
  outbox.send(["PING"], { type: "ping", verb: "PING" });
  ask(outbox, "subscribe", "ab");
  outbox.send(["PING"], { type: "ping", verb: "PING" });
  ask(outbox, "subscribe", "c");
  assertEquals(outbox.settle("subscribe", "channel", "c"), true);
  assertEquals(outbox.settle("subscribe", "channel", "b"), true);
  assertEquals(left(outbox), "ping");
  outbox.shift();
  assertEquals(left(outbox), "a");
  assertEquals(outbox.settle("subscribe", "channel", "a"), true);
  assertEquals(left(outbox), "ping");
  outbox.shift();
  assertEquals(outbox.first, undefined);
});

test("many names are given out in parts, in order, and what is sent behind them comes behind them", () => {
  const names = Array.from({ length: 10_000 }, (_, i) => `name-${i}`);
  const given = (outbox: Outbox): Uint8Array[] => {
    const parts: Uint8Array[] = [];
    for (let part; (part = outbox.take()) !== undefined;) parts.push(part.slice());
    assertEquals(outbox.isEmpty, true);
    return parts;
  };
  const asked = (parts: readonly Uint8Array[]) =>
    parts.flatMap(commandLines).flatMap((line) => line.split(" ").slice(1));
  const outbox = new Outbox();
  for (const name of names) outbox.ask("subscribe", "channel", place(name));
  const parts = given(outbox);
  assertEquals([parts.length, asked(parts)], [3, names]);

  for (const name of names) outbox.ask("unsubscribe", "channel", place(name));
  outbox.send(["PING", "x"], { type: "ping", verb: "PING" });
  outbox.ask("unsubscribe", "channel", place("more"));
  const all = given(outbox);
  // The PING does not keep the first of them waiting until all are written.
  assertEquals([all.length, asked(all)], [3, [...names, "x", "more"]]);
});
