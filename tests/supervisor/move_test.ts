import { assertEquals } from "@std/assert";
import { settle } from "../support/manual_clock.ts";
import type { ModelConnection } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { ConnectionError } from "../../src/errors.ts";
import { PONG, push, refusal } from "../support/wire.ts";
import { MoveBench } from "./move_bench.ts";

/** What the new connection is sent until the fence is up, in RESP3. */
const OPENING = ["HELLO 3", "SUBSCRIBE n", "SUBSCRIBE FENCE", "PUBLISH FENCE "];
const PUBLISHED = { type: "integer", value: 2n } as const;

/** Servers that take PUBLISH, and tell nobody: the test does. */
function publishing(verb: string | undefined) {
  return verb === "PUBLISH" ? [PUBLISHED] : undefined;
}

/** A move whose fence is published. */
async function fencing(): Promise<MoveBench> {
  const bench = new MoveBench({ answer: ([verb]) => publishing(verb) });
  await bench.start("n");
  await bench.go();
  assertEquals(bench.sent(bench.to).slice(0, 4), OPENING);
  return bench;
}

/** The move is over, and nothing of it is left. */
async function assertOver(bench: MoveBench, open: number): Promise<void> {
  await bench.clock.advance(10_000);
  assertEquals({ open: bench.network.open, timers: bench.clock.pending }, { open, timers: 0 });
  for (const connection of bench.network.connections) {
    if (connection.state === "open") assertEquals([...connection.peer.names.channel], ["n"]);
  }
}

for (const first of ["old", "new"] as const) {
  test(`what stands before the fence comes from the old connection, what stands behind it from the new one: the ${first} one is there first`, async () => {
    const bench = await fencing();
    const each = async (...turns: readonly (readonly [ModelConnection, string])[]) => {
      for (const [server, payload] of turns) await bench.tell(server, payload);
    };
    const { from, to } = bench;
    const old = [[from, "1"], [from, "fence"], [from, "2"], [from, "3"]] as const;
    const next = [[to, "0"], [to, "1"], [to, "fence"], [to, "2"]] as const;
    await each(...first === "old" ? [...old, ...next] : [...next, ...old]);
    assertEquals(bench.told, ["1", "taken whole", "2"]);
    await each([to, "3"], [from, "4"], [to, "4"]);
    assertEquals(bench.told, ["1", "taken whole", "2", "3", "4"]);
    await assertOver(bench, 1);
    assertEquals(bench.to.peer.commands.includes("QUIT"), false);
  });
}

test("a run that holds the fence is cut there, on either connection", async () => {
  const bench = await fencing();
  const fence = /earshot:private:\w+/.exec(bench.to.peer.commands.at(-2)!)![0];
  for (const server of [bench.to, bench.from]) {
    server.sendTogether(
      push("message", "n", "1"),
      push("message", fence, ""),
      push("message", "n", "2"),
      push("message", "n", "3"),
    );
    await settle();
  }
  assertEquals(bench.told, ["1", "taken whole", "2", "3"]);
  await assertOver(bench, 1);
});

test("while the fence is due nothing is subscribed or unsubscribed; it is made up for on the new connection", async () => {
  const bench = await fencing();
  await bench.want("late", true);
  await bench.tell(bench.from, "fence");
  await bench.want("n2", true);
  await bench.want("n2", false);
  assertEquals([bench.from, bench.to].map((server) => server.peer.commands.includes("SUBSCRIBE late")), [false, false]);
  await bench.tell(bench.to, "fence");
  assertEquals(bench.sent(bench.to).slice(-2), ["SUBSCRIBE late", "UNSUBSCRIBE FENCE"]);
  assertEquals(bench.told, ["taken whole"]);
});

test("until the new connection has everything, what is wanted is asked of both", async () => {
  const bench = new MoveBench({
    answer: ([verb]) => publishing(verb),
    peer: (count) => ({
      answer: ([verb, name]) => count === 2 && verb === "SUBSCRIBE" && name === "n" ? [] : publishing(verb),
    }),
  });
  await bench.start("n");
  await bench.go();
  await bench.want("early", true);
  assertEquals([bench.from, bench.to].map((server) => server.peer.commands.includes("SUBSCRIBE early")), [true, true]);
  assertEquals(bench.sent(bench.to).some((line) => line.startsWith("PUBLISH")), false);
  await bench.confirm(bench.to, "subscribe", "n");
  assertEquals(bench.sent(bench.to).filter((line) => line.startsWith("PUBLISH")), ["PUBLISH FENCE "]);
});

test("a name that the old connection takes up again by itself is had by the new one, too, before the fence", async () => {
  const bench = new MoveBench({
    peer: (count) => ({
      answer: ([verb, name]) => count === 1 && verb === "UNSUBSCRIBE" && name === "back" ? [] : publishing(verb),
    }),
  });
  await bench.start("n", "back");
  bench.desired.delete("channel", "back");
  bench.old.sync("channel", "back");
  await bench.go();
  assertEquals(bench.sent(bench.to).at(-1), "SUBSCRIBE FENCE");
  await bench.want("back", true);
  assertEquals(bench.sent(bench.to).at(-1), "SUBSCRIBE FENCE", "not before the old one has it");
  await bench.confirm(bench.from, "unsubscribe", "back");
  assertEquals(bench.sent(bench.to).slice(3, 5), ["SUBSCRIBE back", "PUBLISH FENCE "]);
});

const REFUSALS: readonly (readonly [what: string, options: ConstructorParameters<typeof MoveBench>[0]])[] = [
  ["the old connection may not subscribe to the fence", {
    peer: (count) => ({
      answer: ([verb, name]) =>
        count === 1 && verb === "SUBSCRIBE" && name !== "n" ? [refusal("NOPERM no")] : undefined,
    }),
  }],
  ["the new connection may not subscribe to the fence", {
    peer: (count) => ({
      answer: ([verb, name]) =>
        count === 2 && verb === "SUBSCRIBE" && name !== "n" ? [refusal("NOPERM no")] : undefined,
    }),
  }],
  ["nobody may publish", { answer: ([verb]) => verb === "PUBLISH" ? [refusal("NOPERM no")] : undefined }],
  ["in RESP2 there is no connection to publish on", {
    protocol: 2,
    dialling: (count) => {
      if (count === 3) throw new Error("full");
    },
  }],
  ["in RESP2 the connection to publish on breaks", { protocol: 2, breaksAfter: (count) => count === 3 ? 0 : Infinity }],
];

for (const [what, options] of REFUSALS) {
  test(`without a fence the old connection leaves, then the new one takes over behind a PONG: ${what}`, async () => {
    const pongs: string[] = [];
    const bench = new MoveBench({
      ...options,
      peer: (count) => {
        const { answer, ...rest } = { ...options, ...options?.peer?.(count) };
        return {
          ...rest,
          answer: (words) => {
            const [verb] = words;
            // The test says when the old one is gone, and when the new one answers.
            if (count === 1 && verb === "QUIT") return [];
            if (count === 2 && verb === "PING") {
              pongs.push("asked");
              return [];
            }
            return answer?.(words);
          },
        };
      },
    });
    await bench.start("n");
    await bench.go();
    assertEquals([bench.from.peer.commands.at(-1), pongs], ["QUIT", []]);
    await bench.tell(bench.from, "1");
    await bench.tell(bench.to, "1");
    await bench.tell(bench.from, "2");
    bench.from.close();
    await settle();
    await bench.tell(bench.to, "2");
    await bench.tell(bench.to, "3");
    assertEquals([bench.told, pongs], [["1", "2", "old ended, moving on"], ["asked"]]);
    bench.to.send(bench.to.peer.protocol === 3 ? PONG : push("pong", ""));
    await settle();
    await bench.tell(bench.to, "4");
    assertEquals(bench.told.slice(3), ["taken lossy", "4"]);
    await assertOver(bench, 1);
  });
}

test("a server that answers a PING before it tells of the fence has a second left, then the fence is given up", async () => {
  const bench = await fencing();
  await bench.tell(bench.to, "fence");
  await bench.clock.advance(999);
  assertEquals(bench.told, []);
  await bench.clock.advance(1);
  assertEquals(bench.told, ["old ended, moving on", "taken lossy"]);
  await bench.tell(bench.to, "1");
  assertEquals(bench.told.at(-1), "1");
  await assertOver(bench, 1);
});

test("a fence that comes late, but within that second, is as good as any", async () => {
  const bench = await fencing();
  await bench.tell(bench.to, "fence");
  await bench.clock.advance(999);
  await bench.tell(bench.from, "fence");
  assertEquals(bench.told, ["taken whole"]);
  await assertOver(bench, 1);
});

test("in RESP2 a third connection publishes, and goes when it has, or when it is no longer needed", async () => {
  for (const answers of ["at once", "never"]) {
    const bench = new MoveBench({
      protocol: 2,
      peer: () => ({
        protocol: 2,
        answer: ([verb]) => verb === "PUBLISH" ? answers === "never" ? [] : [PUBLISHED] : undefined,
      }),
    });
    await bench.start("n");
    await bench.go();
    const publisher = bench.network.last;
    assertEquals(bench.sent(publisher).slice(1), ["PUBLISH FENCE ", ...answers === "never" ? [] : ["QUIT"]]);
    for (const server of [bench.from, bench.to]) await bench.tell(server, "fence");
    assertEquals([bench.told, publisher.state], [["taken whole"], "closed"]);
    await assertOver(bench, 1);
  }
});

test("when the new connection fails, the old one goes on, and nothing is lost", async () => {
  const cannot = "failed, old there: Cannot move to new:2: ";
  const refused = new MoveBench({
    dialling: (count) => {
      if (count === 2) throw new Error("down");
    },
  });
  await refused.start("n");
  await refused.go();
  await refused.tell(refused.from, "1");
  assertEquals(refused.told, [`${cannot}Cannot connect to new:2`, "1"]);
  await assertOver(refused, 1);

  const lost = await fencing();
  await lost.tell(lost.from, "1");
  await lost.tell(lost.from, "fence");
  await lost.tell(lost.from, "2");
  lost.to.close();
  await settle();
  await lost.tell(lost.from, "3");
  assertEquals(lost.told, ["1", `${cannot}Lost the connection to new:2: the server closed it`, "2", "3"]);
  await assertOver(lost, 1);
});

test("when the old connection dies before the new one has everything, the move is off", async () => {
  const bench = new MoveBench({
    peer: (count) => ({ answer: ([verb]) => count === 2 && verb === "SUBSCRIBE" ? [] : undefined }),
  });
  await bench.start("n");
  await bench.go();
  bench.from.close();
  await settle();
  assertEquals(bench.told, ["failed, old there: Cannot move to new:2: it was given up", "old ended"]);
  await assertOver(bench, 0);
});

test("when the old connection dies before its fence, the new one takes over behind a PONG", async () => {
  const bench = await fencing();
  await bench.tell(bench.from, "1");
  await bench.tell(bench.to, "fence");
  bench.from.close();
  await settle();
  await bench.tell(bench.to, "2");
  assertEquals(bench.told, ["1", "old ended, moving on", "taken lossy", "2"]);
  await assertOver(bench, 1);
});

test("when the old connection dies behind its fence, nothing is lost", async () => {
  const bench = await fencing();
  await bench.tell(bench.from, "1");
  await bench.tell(bench.from, "fence");
  bench.from.close();
  // The end of a connection that stands still is seen when it reads on, or writes.
  bench.old.abort(new ConnectionError("gone"));
  await settle();
  await bench.tell(bench.to, "1");
  await bench.tell(bench.to, "fence");
  await bench.tell(bench.to, "2");
  assertEquals(bench.told, ["1", "old ended, moving on", "taken whole", "2"]);
  await assertOver(bench, 1);
});

test("when both die, that is the end", async () => {
  const bench = await fencing();
  bench.to.state = "frozen";
  bench.from.close();
  await settle();
  bench.to.close();
  await settle();
  assertEquals(bench.told, [
    "old ended, moving on",
    "failed, old gone: Cannot move to new:2: Lost the connection to new:2: the server closed it",
  ]);
  await assertOver(bench, 0);
});

test("a move that is given up leaves nothing, at whatever stage", async () => {
  const stages: (() => Promise<MoveBench>)[] = [
    async () => {
      const bench = new MoveBench({ dialling: (count) => count === 2 ? new Promise(() => {}) : undefined });
      await bench.start("n");
      await bench.go();
      return bench;
    },
    fencing,
    async () => {
      const bench = await fencing();
      await bench.tell(bench.from, "fence");
      return bench;
    },
    async () => {
      const bench = await fencing();
      await bench.tell(bench.to, "fence");
      return bench;
    },
  ];
  for (const stage of stages) {
    const bench = await stage();
    bench.move.cancel();
    bench.move.cancel();
    await settle();
    await bench.tell(bench.from, "1");
    assertEquals(bench.told, ["failed, old there: Cannot move to new:2: it was given up", "1"]);
    bench.old.abort(new ConnectionError("over"));
    await settle();
    assertEquals([bench.clock.pending, bench.network.open], [0, 0]);
  }
});
