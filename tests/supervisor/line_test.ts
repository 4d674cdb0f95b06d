import { assertEquals } from "@std/assert";
import type { Identity } from "../../src/connection/link.ts";
import { ConnectionError } from "../../src/errors.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import { Line } from "../../src/supervisor/line.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { ModelNetwork, type NetworkOptions } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { push, refusal } from "../support/wire.ts";

const decoder = new TextDecoder();
const PUBLISHED = { type: "integer", value: 2n } as const;

/** A line over model servers; the test tells messages and fences. */
class Bench {
  readonly clock = new ManualClock();
  readonly network: ModelNetwork;
  readonly line: Line;
  readonly told: string[] = [];
  readonly #lifetime = new AbortController();
  #fence = "";
  #reached: (() => void) | undefined;

  constructor(options: NetworkOptions = {}, credentials: () => Promise<Identity> = () => Promise.resolve({})) {
    this.network = new ModelNetwork({ answer: ([verb]) => verb === "PUBLISH" ? [PUBLISHED] : undefined, ...options });
    const desired = new Desired();
    desired.add("channel", "n");
    this.line = new Line({
      desired,
      closeTimeoutMs: 1_000,
      link: {
        dial: this.network.dial,
        clock: this.clock,
        credentials,
        handshake: { protocol: "auto", database: 0 },
        keepAlive: false,
        connectTimeoutMs: 5_000,
        commandTimeoutMs: 3_000,
        limits: {},
      },
    }, {
      messages: (run) => {
        while (run.taken < run.count && run.state === "flowing") {
          const i = run.taken++;
          if (run.topic(i).channel === this.#fence) this.#reached?.();
          else this.told.push(decoder.decode(run.view(i)));
        }
      },
      hear: ({ type }) => {
        if (type !== "synced" && type !== "settled") this.told.push(type);
      },
      listen: (channel, heard) => {
        this.#fence = heard === undefined ? "" : channel;
        this.#reached = heard;
      },
      overhear: () => {},
      moved: (_old, denials, how) => this.told.push(`moved ${how} ${denials.length}`),
      failed: (error) => this.told.push(`failed: ${error.message}`),
    });
  }

  async open(): Promise<void> {
    this.line.open({ host: "a", port: 1 }, this.#lifetime.signal)
      .then(({ cause }) => this.told.push(`over: ${cause.message}`), (error) => this.told.push(`${error}`));
    await settle();
    this.news();
  }

  /** Both ends of a move tell of the fence, the old one with a message behind it in the same read. */
  async cross(from: number, to: number): Promise<void> {
    await this.tell(to, "fence");
    const fence = push("message", this.#fence, "");
    this.network.connections[from]!.sendTogether(fence, push("message", "n", "behind the fence"));
    await settle();
  }

  async tell(connection: number, payload: string): Promise<void> {
    const words = payload === "fence" ? [this.#fence, ""] : ["n", payload];
    this.network.connections[connection]!.send(push("message", ...words));
    await settle();
  }

  news(): string[] {
    return this.told.splice(0);
  }

  abort(): void {
    this.#lifetime.abort(new ConnectionError("closed"));
  }
}

test("a line outlives its connections as long as another one takes over, and ends with the last", async () => {
  const bench = new Bench();
  await bench.open();
  const moved = bench.line.move({ endpoint: { host: "b", port: 2 } });
  await settle();
  assertEquals(bench.line.endpoint, "a:1");
  await bench.cross(0, 1);
  assertEquals([await moved, bench.line.endpoint, bench.news()], [undefined, "b:2", ["connected", "moved whole 0"]]);
  assertEquals(bench.network.connections.map(({ state }) => state), ["closed", "open"]);
  await bench.tell(1, "1");
  bench.network.last.close();
  await settle();
  assertEquals(bench.news(), ["1", "over: Lost the connection to b:2: the server closed it"]);
  assertEquals([bench.line.connection, bench.clock.pending], [undefined, 0]);
});

test("moves follow each other, and what fails keeps the line as it was", async () => {
  const bench = new Bench({
    dialling: (count) => {
      if (count === 3) throw new Error("down");
    },
  });
  await bench.open();
  const [one, two] = [{ host: "b", port: 2 }, { host: "c", port: 3 }].map((endpoint) => bench.line.move({ endpoint }));
  await settle();
  assertEquals(bench.network.dials, 2);
  await bench.cross(0, 1);
  assertEquals(await one, undefined);
  assertEquals((await two)?.message, "Cannot move to c:3: Cannot connect to c:3");
  await bench.tell(1, "1");
  assertEquals([bench.line.endpoint, bench.news()], ["b:2", ["connected", "moved whole 0", "1"]]);
});

test("a consumer that reads no more holds a move up, and has its way on the new connection", async () => {
  const bench = new Bench();
  await bench.open();
  void bench.line.move({});
  await settle();
  bench.line.pause();
  await bench.cross(0, 1);
  assertEquals(bench.news(), []);
  bench.line.resume();
  await settle();
  assertEquals(bench.news(), ["connected", "moved whole 0"]);

  void bench.line.move({});
  await settle();
  await bench.tell(1, "fence");
  // It stands at the fence: to read on is not up to the consumer.
  bench.line.pause();
  bench.line.resume();
  await bench.tell(1, "late");
  bench.line.pause();
  await bench.tell(2, "fence");
  await bench.tell(2, "1");
  assertEquals(bench.news(), ["connected", "moved whole 0"]);
  bench.line.resume();
  await settle();
  assertEquals(bench.news(), ["1"]);
});

test("when a move fails while the consumer reads no more, the old connection waits for him", async () => {
  const bench = new Bench();
  await bench.open();
  void bench.line.move({});
  await settle();
  await bench.tell(0, "fence");
  bench.line.pause();
  bench.network.last.close();
  await settle();
  await bench.tell(0, "1");
  assertEquals(bench.news(), []);
  bench.line.resume();
  await settle();
  assertEquals(bench.news(), ["1"]);
});

test("a line that is settled makes no move, and gives up the one that is under way", async () => {
  const bench = new Bench();
  await bench.open();
  const moving = bench.line.move({});
  await settle();
  bench.line.settle();
  assertEquals((await moving)?.message, "Cannot move to a:1: it was given up");
  assertEquals((await bench.line.move({}))?.message, "Cannot move: there is no connection");
  await bench.line.connection!.quit(1_000);
  await bench.line.retired();
  assertEquals([bench.network.open, bench.clock.pending], [0, 0]);
});

test("whoever waits for the connections that were left waits until they are gone", async () => {
  const bench = new Bench({
    peer: (count) => ({
      answer: ([verb]) => verb === "PUBLISH" ? [PUBLISHED] : count === 1 && verb === "QUIT" ? [] : undefined,
    }),
  });
  await bench.open();
  void bench.line.move({});
  await settle();
  await bench.cross(0, 1);
  let retired: "no" | "yes" = "no";
  void bench.line.retired().then(() => retired = "yes");
  await bench.clock.advance(999);
  assertEquals(retired, "no");
  await bench.clock.advance(1);
  assertEquals([retired, bench.network.open], ["yes", 1]);
});

test("new credentials are used in place in RESP3, and where they are refused there, on a new connection", async () => {
  const lives = [100_000, 100_000, undefined];
  const bench: Bench = new Bench({
    peer: (count) => ({
      answer: ([verb]) =>
        verb === "PUBLISH"
          ? [PUBLISHED]
          : count === 1 && verb === "AUTH" && lives.length === 0
          ? [refusal("NOPERM no")]
          : undefined,
    }),
  }, () => {
    const life = lives.shift();
    return Promise.resolve({ password: `p${lives.length}`, expiresAt: life && bench.clock.date() + life });
  });
  await bench.open();
  await bench.clock.advance(80_000);
  assertEquals([bench.network.connections[0]!.peer.commands.at(-1), bench.network.dials], ["AUTH default p1", 1]);
  await bench.clock.advance(80_000);
  assertEquals(bench.network.dials, 2);
  assertEquals(bench.network.last.peer.commands[0], "HELLO 3 AUTH default p0");
  await bench.cross(0, 1);
  assertEquals(bench.news(), ["connected", "moved whole 0"]);
  await bench.clock.advance(1e6);
  assertEquals(lives.length, 0, "these never expire");
});

test("when new credentials are refused everywhere that is told, and the connection goes on", async () => {
  const bench: Bench = new Bench({
    answer: ([verb]) => verb === "AUTH" ? [refusal("WRONGPASS no")] : undefined,
    peer: (count) => ({
      answer: ([verb]) => verb === "AUTH" || (count > 1 && verb === "HELLO") ? [refusal("WRONGPASS no")] : undefined,
    }),
  }, () => Promise.resolve({ password: "p", expiresAt: bench.clock.date() + 100_000 }));
  await bench.open();
  await bench.clock.advance(80_000);
  await bench.tell(0, "1");
  assertEquals(bench.news(), ["failed: Cannot move to a:1: HELLO was refused: WRONGPASS no", "1"]);
  await bench.clock.advance(1_000);
  assertEquals(bench.news(), ["failed: Cannot move to a:1: HELLO was refused: WRONGPASS no"]);
  bench.network.connections[0]!.close();
  await settle();
  assertEquals(bench.clock.pending, 0);
});
