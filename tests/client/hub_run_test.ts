/** A hub that is handed several messages at once, while streams come, go and fill up. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Hub } from "../../src/client/hub.ts";
import { Delivery } from "../../src/delivery/delivery.ts";
import { resolveStreamOptions, type StreamOptions } from "../../src/delivery/options.ts";
import { type Codec, text } from "../../src/codec.ts";
import type { KindedName } from "../../src/supervisor/calls.ts";
import type { Run } from "../../src/run/run.ts";
import { add } from "../support/hub.ts";
import { KnownTopics, message, runOf } from "../support/run.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import { test } from "../support/test.ts";
import { FakeOwner } from "../delivery/fake_owner.ts";

const NEWS: KindedName = { kind: "channel", name: "news" };
const SPORT: KindedName = { kind: "channel", name: "sport" };

function newHub(): Hub {
  return new Hub({ desired: new Desired(), want: () => {}, drop: () => {} });
}

/** A codec for text that does something when it comes to a payload. */
function when(doings: Readonly<Record<string, () => void>>): Codec<string> {
  return {
    decode: (payload) => {
      const value = text.decode(payload);
      doings[value]?.();
      return value;
    },
  };
}

function newStream(codec: Codec<string> = text, options: StreamOptions<string> = {}, owner = new FakeOwner()) {
  return new Delivery(resolveStreamOptions({ ...options, codec }), owner);
}

function payloads(delivery: Delivery<string>): string {
  const taken: string[] = [];
  for (let message; (message = delivery.take()) !== undefined;) taken.push(message.payload);
  return taken.join(" ");
}

/** A run of payloads on the channel `news`, or on the one that stands before a colon. */
function run(texts: string, topics = new KnownTopics()): Run {
  const messages = texts.split(" ").map((text) => {
    const [payload = "", channel = "news"] = text.split(":").reverse();
    return message(channel, payload);
  });
  return runOf(messages, topics);
}

test("A run is handed out whole, each message to those that want its name", () => {
  const hub = newHub();
  const [a, b, both] = [newStream(), newStream(), newStream()];
  add(hub, a, NEWS);
  add(hub, b, SPORT);
  add(hub, both, NEWS);
  add(hub, both, SPORT);
  const told = run("1 sport:2 nobody:3 4 sport:5");
  hub.deliver(told);
  assertEquals([told.taken, payloads(a), payloads(b), payloads(both)], [5, "1 4", "2 5", "1 2 4 5"]);
});

test("A stream that comes in the middle of a run gets what is behind the message in hand", () => {
  for (const holders of [1, 2, 3]) {
    const hub = newHub();
    const late = newStream();
    const early = Array.from({ length: holders }, () => newStream(when({ "2": () => add(hub, late, NEWS) })));
    for (const stream of early) add(hub, stream, NEWS);
    hub.deliver(run("1 2 3 4"));
    assertEquals([...early.map(payloads), payloads(late)], [...early.map(() => "1 2 3 4"), "3 4"]);
  }
});

test("A name that nobody wants may be wanted in the middle of a run, and no longer", () => {
  const hub = newHub();
  const late = newStream();
  const early = newStream(when({ "2": () => add(hub, late, SPORT), "5": () => hub.remove(late, SPORT) }));
  add(hub, early, NEWS);
  hub.deliver(run("sport:1 2 sport:3 sport:4 5 sport:6"));
  assertEquals([payloads(early), payloads(late)], ["2 5", "3 4"]);
});

test("A stream that goes in the middle of a run gets nothing that is behind the message in hand", () => {
  for (const others of [0, 1, 2]) {
    const hub = newHub();
    const leaver: Delivery<string> = newStream(when({ "2": () => hub.remove(leaver, NEWS) }));
    const rest = Array.from({ length: others }, () => newStream());
    for (const stream of [leaver, ...rest]) add(hub, stream, NEWS);
    const told = run("1 2 3 4");
    hub.deliver(told);
    assertEquals([told.taken, payloads(leaver), ...rest.map(payloads)], [4, "1 2", ...rest.map(() => "1 2 3 4")]);
  }
});

test("A stream that goes and comes again in the middle of a run is there again", () => {
  const hub = newHub();
  const stream: Delivery<string> = newStream(when({
    "2": () => {
      hub.remove(stream, NEWS);
      add(hub, stream, NEWS);
    },
  }));
  add(hub, stream, NEWS);
  hub.deliver(run("1 2 3"));
  assertEquals(payloads(stream), "1 2 3");
});

test("A hub that forgets everybody in the middle of a run takes the rest, for nobody", () => {
  const hub = newHub();
  const [a, b] = [newStream(when({ "2": () => hub.clear() })), newStream()];
  add(hub, a, NEWS);
  add(hub, b, SPORT);
  const told = run("1 2 3 sport:4");
  hub.deliver(told);
  assertEquals([told.taken, payloads(a), payloads(b)], [4, "1 2", ""]);
});

test("What a topic remembers of one run does not outlive a change before the next one", () => {
  const hub = newHub();
  const topics = new KnownTopics();
  const [a, b] = [newStream(), newStream()];
  add(hub, a, NEWS);
  hub.deliver(run("1 sport:2", topics));
  add(hub, b, NEWS);
  hub.deliver(run("3", topics));
  hub.remove(a, NEWS);
  hub.deliver(run("4", topics));
  hub.remove(b, NEWS);
  hub.deliver(run("5", topics));
  add(hub, a, SPORT);
  hub.deliver(run("sport:6 7", topics));
  hub.clear();
  hub.deliver(run("sport:8 9", topics));
  assertEquals([payloads(a), payloads(b)], ["1 3 6", "3 4"]);
});

test("A run for many streams is decoded once for each message and codec", () => {
  const hub = newHub();
  const decoded: string[][] = [[], [], []];
  const codecs = decoded.map((seen, i): Codec<string> => ({
    decode: (payload) => {
      seen.push(text.decode(payload));
      return `${i}${text.decode(payload)}`;
    },
  }));
  const streams = Array.from({ length: 30 }, (_, i) => newStream(codecs[i % 3]));
  for (const stream of streams) add(hub, stream, NEWS);
  hub.deliver(run("a b c"));
  assertEquals(decoded, [["a", "b", "c"], ["a", "b", "c"], ["a", "b", "c"]]);
  for (const [i, stream] of streams.entries()) assertEquals(payloads(stream), `${i % 3}a ${i % 3}b ${i % 3}c`);
});

/** An owner that halts the run when a stream is full. */
function halting(told: () => Run): FakeOwner {
  const owner = new FakeOwner();
  owner.room = (_, room) => void (told().state = room === "free" ? "flowing" : "halted");
  return owner;
}

test("A run that is halted keeps the rest for later, and tells each message once", () => {
  const hub = newHub();
  const told = run("1 2 3 4 5 6 7");
  const full = newStream(text, { overflow: "block", maxQueuedMessages: 3 }, halting(() => told));
  const other = newStream();
  add(hub, full, NEWS);
  add(hub, other, NEWS);
  const seen: [taken: number, ours: string, others: string][] = [];
  for (let turn = 0; turn < 4; turn++) {
    hub.deliver(told);
    // Halted, it takes none, however often it is told.
    hub.deliver(told);
    seen.push([told.taken, payloads(full), payloads(other)]);
  }
  assertEquals(seen, [[3, "1 2 3", "1 2 3"], [6, "4 5 6", "4 5 6"], [7, "7", "7"], [7, "", ""]]);
});

test("A stream that has room again within the message that filled it halts nothing", () => {
  const hub = newHub();
  const told = run("1 2 3 4");
  const owner = halting(() => told);
  const full = newStream(text, { overflow: "block", maxQueuedMessages: 2 }, owner);
  // It comes after the full one, and takes what is there.
  const taken: string[] = [];
  add(hub, full, NEWS);
  add(hub, newStream(when({ "2": () => taken.push(payloads(full)) })), NEWS);
  hub.deliver(told);
  assertEquals([taken, told.taken, payloads(full)], [["1 2"], 4, "3 4"]);
});

type Change = readonly [at: number, stream: number, name: "news" | "sport", change: "add" | "remove"];

test("Whatever comes and goes in the middle of a run, the next message goes to those that want it then", () => {
  const change: fc.Arbitrary<Change> = fc.tuple(
    fc.nat({ max: 11 }),
    fc.nat({ max: 3 }),
    fc.constantFrom("news" as const, "sport" as const),
    fc.constantFrom("add" as const, "remove" as const),
  );
  const channels = fc.array(fc.constantFrom("news", "sport", "other"), { minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30, size: "max" }), channels, (changes, channels) => {
      const hub = newHub();
      const wanted = { news: new Set<number>(), sport: new Set<number>() };
      const streams: Delivery<string>[] = [0, 1, 2, 3].map(() => newStream());
      const expected = streams.map((): string[] => []);
      // It hears everything, after all others, and makes the changes that are due.
      let next = 0;
      const changer = newStream({
        decode: (payload) => {
          for (const [at, stream, name, change] of changes) {
            if (at !== next) continue;
            const which = { kind: "channel", name } as const;
            if (change === "add") add(hub, streams[stream]!, which);
            else hub.remove(streams[stream]!, which);
            if (change === "add") wanted[name].add(stream);
            else wanted[name].delete(stream);
          }
          next++;
          return text.decode(payload);
        },
      });
      const messages = channels.flatMap((channel, i) => [message(channel, String(i)), message("tick", "")]);
      add(hub, changer, { kind: "channel", name: "tick" });
      const heard = newStream({
        decode: (payload) => {
          const channel = channels[Number(text.decode(payload))]!;
          if (channel !== "other") {
            for (const i of wanted[channel as "news"]) expected[i]!.push(text.decode(payload));
          }
          return "";
        },
      });
      for (const name of ["news", "sport"]) add(hub, heard, { kind: "channel", name });
      const topics = new KnownTopics();
      for (let at = 0; at < messages.length; at += 8) hub.deliver(runOf(messages.slice(at, at + 8), topics));
      assertEquals(streams.map(payloads), expected.map((texts) => texts.join(" ")));
    }),
    { numRuns: 300 },
  );
});
