import { assertEquals } from "@std/assert";
import { Events } from "../../src/client/events.ts";
import type { ClientEvent } from "../../src/event.ts";
import { EPOCH, FakeClock } from "../delivery/fake_owner.ts";
import { test } from "../support/test.ts";

async function all(stream: ReadableStream<ClientEvent>): Promise<ClientEvent[]> {
  const events: ClientEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

test("An event goes to the observer and to every stream that is open, with its time and endpoint", async () => {
  const heard: ClientEvent[] = [];
  const events = new Events(new FakeClock(), (event) => void heard.push(event));
  const before = events.stream();
  await events.stream().cancel();
  events.emit({ type: "ready" }, "host:1");
  const later = events.stream();
  events.emit({ type: "closed" });
  events.end();
  const ready: ClientEvent = { type: "ready", endpoint: "host:1", at: EPOCH + 5_000 };
  const closed: ClientEvent = { type: "closed", endpoint: undefined, at: EPOCH + 5_000 };
  assertEquals([heard, await all(before), await all(later)], [[ready, closed], [ready, closed], [closed]]);
  assertEquals(await all(events.stream()), []);
});

test("A stream of events that nobody reads keeps the newest 1,024", async () => {
  const events = new Events(new FakeClock(), undefined);
  const stream = events.stream();
  for (let dropped = 0; dropped < 1_030; dropped++) events.emit({ type: "overflow", dropped });
  events.end();
  const left = await all(stream);
  assertEquals([left.length, left[0]?.type === "overflow" && left[0].dropped], [1_024, 6]);
});

test("An observer that throws, at once or later, hurts nobody", async () => {
  for (const fail of [() => Promise.reject(new Error("later")), () => Promise.reject(undefined)]) {
    const events = new Events(new FakeClock(), fail);
    events.emit({ type: "ready" });
  }
  const events = new Events(new FakeClock(), () => {
    throw new Error("at once");
  });
  const stream = events.stream();
  events.emit({ type: "ready" });
  events.end();
  assertEquals((await all(stream)).length, 1);
});
