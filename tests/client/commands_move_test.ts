import { assertEquals, assertRejects } from "@std/assert";
import type { Credentials } from "@earshot/redis";
import { TestBroker } from "@earshot/redis/testing";
import { Commands } from "../../src/client/commands.ts";
import { resolveOptions } from "../../src/client/options.ts";
import type { Endpoint } from "../../src/endpoint.ts";
import { ConnectionError, type RedisError } from "../../src/errors.ts";
import { standalone } from "../../src/topology/standalone.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

const PASSWORD = "sesame";
const LIFE_MS = 100_000;

/** A command connection whose credentials expire; its first connection can be held up, both ways. */
class Stage {
  readonly clock = new ManualClock();
  readonly broker: TestBroker;
  readonly commands: Commands;
  readonly failures: RedisError[] = [];
  readonly endpoints: Endpoint[] = [];
  /** What each question gives, from the second on; after that, what is right. */
  answers: Credentials[] = [];
  wires: Transport[] = [];
  /** What a dial waits for. */
  dialling = () => Promise.resolve();
  #held: Promise<void> | undefined;
  release: () => void = () => {};
  unreachable: "no" | "yes" = "no";

  constructor(protocol: 2 | 3) {
    this.broker = new TestBroker({ protocol, password: PASSWORD });
    const settings = resolveOptions({
      protocol,
      port: 6379,
      keepAlive: false,
      credentials: () => {
        const right = { password: PASSWORD, expiresAt: this.clock.date() + LIFE_MS };
        return Promise.resolve(this.endpoints.length === 0 ? right : this.answers.shift() ?? right);
      },
      dial: async (endpoint, options) => {
        await this.dialling();
        if (this.unreachable === "yes") throw new Error("unreachable");
        const transport = await this.broker.dial(endpoint, options);
        this.wires.push(transport);
        if (this.endpoints.push(endpoint) > 1) return transport;
        return {
          read: async (room) => {
            const chunk = await transport.read(room);
            await this.#held;
            return chunk;
          },
          write: (bytes) => transport.write(bytes),
          close: () => transport.close(),
        };
      },
    });
    this.commands = new Commands({ ...settings.link, clock: this.clock }, standalone(settings.endpoint), {
      closeTimeoutMs: 1_000,
      failed: (error) => this.failures.push(error),
    });
  }

  /** The answers of the first connection wait until `release`. */
  hold(): void {
    this.#held = new Promise((resolve) =>
      this.release = () => {
        this.#held = undefined;
        resolve();
      }
    );
  }

  send(...words: string[]): Promise<unknown> {
    return this.commands.send(words, {}).then(({ value }) =>
      value instanceof Uint8Array ? new TextDecoder().decode(value) : value
    );
  }

  /** What was sent, but for the handshakes. */
  sent(): string[] {
    return this.broker.commands.map((words) => words.join(" ")).filter((line) => !/^(HELLO|CLIENT)/.test(line));
  }

  async end(): Promise<void> {
    const closed = this.commands.close();
    await this.clock.advance(5_000);
    await closed;
    await settle();
    assertEquals([this.clock.pending, this.broker.connectionCount], [0, 0]);
    await this.broker.close();
  }
}

for (const protocol of [2, 3] as const) {
  test(`the connection for commands uses new credentials in place: RESP${protocol}`, async () => {
    const stage = new Stage(protocol);
    assertEquals(await stage.send("ECHO", "a"), "a");
    await stage.clock.advance(80_000);
    await stage.clock.advance(80_000);
    assertEquals(await stage.send("ECHO", "b"), "b");
    const auth = protocol === 2 ? "AUTH ***" : "AUTH *** ***";
    assertEquals(stage.sent(), [...protocol === 2 ? [auth] : [], "ECHO a", auth, auth, "ECHO b"]);
    assertEquals([stage.endpoints.length, stage.failures], [1, []]);
    await stage.end();
  });

  test(`where AUTH is refused in place, another connection takes over: RESP${protocol}`, async () => {
    const stage = new Stage(protocol);
    await stage.send("ECHO", "a");
    stage.broker.refuse("AUTH", "NOPERM no");
    // In RESP2 it belongs to the handshake as well.
    stage.dialling = () => Promise.resolve(stage.broker.allow("AUTH"));
    await stage.clock.advance(80_000);
    assertEquals([stage.endpoints.length, stage.broker.connectionCount, stage.failures], [2, 1, []]);
    assertEquals(await stage.send("ECHO", "b"), "b");
    await stage.end();
  });
}

/** A move whose new connection is ready while the old one still owes an answer. */
async function moving(): Promise<{ stage: Stage; slow: Promise<unknown>; late: Promise<unknown>[] }> {
  const stage = new Stage(3);
  await stage.send("ECHO", "a");
  let connect = () => {};
  const connected = new Promise<void>((resolve) => connect = resolve);
  stage.dialling = () => connected;
  stage.broker.push("MOVING", 1, 30, "10.0.0.2:7000");
  await settle();
  stage.hold();
  const slow = stage.send("ECHO", "slow");
  connect();
  await settle();
  const late = [stage.send("ECHO", "late"), stage.send("ECHO", "later")];
  await settle();
  assertEquals(stage.sent(), ["ECHO a", "ECHO slow", "QUIT"]);
  return { stage, slow, late };
}

test("a server that moves is followed; what was sent before is answered first, what comes meanwhile waits", async () => {
  const { stage, slow, late } = await moving();
  stage.release();
  assertEquals(await Promise.all([slow, ...late]), ["slow", "late", "later"]);
  assertEquals(stage.endpoints.map(({ host, port }) => `${host}:${port}`), ["localhost:6379", "10.0.0.2:7000"]);
  assertEquals(stage.sent().slice(3), ["ECHO late", "ECHO later"]);
  assertEquals([stage.broker.connectionCount, stage.failures], [1, []]);
  await stage.end();
});

test("a command on its way when the old connection breaks is told so, those that waited are answered by the new one", async () => {
  const { stage, slow, late } = await moving();
  const lost = assertRejects(() => slow, ConnectionError, "was executed is not known");
  // An old connection that says nothing is given up in time, too.
  await stage.clock.advance(5_000);
  await lost;
  assertEquals(await Promise.all(late), ["late", "later"]);
  assertEquals(stage.broker.connectionCount, 1);
  await stage.end();
});

test("new credentials that open no door are told, and the connection that stands serves on", async () => {
  const stage = new Stage(3);
  await stage.send("ECHO", "a");
  stage.answers = [{ password: "wrong" }];
  await stage.clock.advance(80_000);
  assertEquals(stage.failures.map(({ message }) => message.slice(0, 29)), ["HELLO was refused: WRONGPASS "]);
  assertEquals(await stage.send("ECHO", "b"), "b");
  stage.unreachable = "yes";
  stage.answers = [{ password: "wrong" }];
  await stage.clock.advance(1_000);
  assertEquals([stage.failures.length, await stage.send("ECHO", "c")], [2, "c"]);
  await stage.clock.advance(2_000);
  assertEquals([stage.failures.length, stage.endpoints.length], [2, 2]);
  await stage.end();
});

test("a connection that comes when the old one has broken is not used, and the next command makes one as ever", async () => {
  const stage = new Stage(3);
  await stage.send("ECHO", "a");
  let connect = () => {};
  const connected = new Promise<void>((resolve) => connect = resolve);
  stage.dialling = () => connected;
  stage.broker.push("MOVING", 1, 30, "10.0.0.2:7000");
  await settle();
  stage.wires[0]!.close();
  await settle();
  connect();
  await settle();
  assertEquals([stage.endpoints.length, stage.broker.connectionCount], [2, 0]);
  assertEquals(await stage.send("ECHO", "b"), "b");
  assertEquals([stage.broker.connectionCount, stage.failures], [1, []]);
  await stage.end();
});

test("closing while the new connection waits for the old one closes both, and who waits is told so", async () => {
  const { stage, slow, late } = await moving();
  const rejected = [slow, ...late].map((call) => assertRejects(() => call, ConnectionError));
  await stage.end();
  await Promise.all(rejected);
});

test("closing in the middle of a move leaves nothing", async () => {
  for (let turns = 0; turns < 6; turns++) {
    const stage = new Stage(3);
    await stage.send("ECHO", "a");
    stage.broker.push("MOVING", 1, 30, "10.0.0.2:7000");
    for (let i = 0; i < turns; i++) await Promise.resolve().then(() => Promise.resolve());
    if (turns > 3) await settle();
    await stage.end();
    assertEquals(stage.failures, []);
  }
});
