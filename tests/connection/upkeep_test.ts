import { assertEquals } from "@std/assert";
import { Connection } from "../../src/connection/connection.ts";
import type { Credentials, LinkOptions } from "../../src/connection/link.ts";
import { Upkeep } from "../../src/connection/upkeep.ts";
import { endpointText } from "../../src/endpoint.ts";
import { ConnectionError, type RedisError, ReplyError } from "../../src/errors.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { ModelConnection } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { refusal } from "../support/wire.ts";

interface BenchOptions {
  readonly lifeMs?: number;
  /** What each question gives; after that, credentials that never expire. */
  readonly answers?: (() => Promise<Credentials>)[];
  /** What each move ends with; after that, well. */
  readonly ends?: RedisError[];
  readonly protocol?: 2 | 3;
  readonly role?: "subscriber" | "commands";
  readonly host?: string;
  readonly maintenance?: boolean;
}

/** A connection that is kept up, and when it did what, in milliseconds from its start. */
class Bench {
  readonly clock = new ManualClock();
  readonly told: string[] = [];
  readonly answers: (() => Promise<Credentials>)[];
  readonly server: ModelConnection;
  readonly upkeep: Upkeep;
  #start: number;

  constructor(options: BenchOptions = {}) {
    this.answers = [...options.answers ?? []];
    this.#start = this.clock.date();
    const { lifeMs, ends = [], protocol = 2, host = "example.com" } = options;
    const [near, far] = memoryPair();
    this.server = new ModelConnection(far, {
      protocol,
      answer: ([verb, , password]) => verb === "AUTH" && password === "wrong" ? [refusal("WRONGPASS no")] : undefined,
    }, Infinity);
    const link: LinkOptions = {
      clock: this.clock,
      credentials: () => {
        this.#tell("asked");
        return this.answers.shift()?.() ?? Promise.resolve({ password: "never" });
      },
      dial: () => Promise.resolve(near),
      handshake: { protocol: 2, database: 0 },
      keepAlive: false,
      connectTimeoutMs: 5_000,
      commandTimeoutMs: 1e9,
      limits: {},
      ...options.maintenance === undefined ? {} : { maintenance: options.maintenance },
    };
    const connection = new Connection(near, {
      clock: this.clock,
      endpoint: host,
      onEvent: () => {},
      session: { ...link, handshakeTimeoutMs: 1e9 },
      expiresAt: lifeMs === undefined ? undefined : this.#start + lifeMs,
    });
    connection.start();
    this.upkeep = new Upkeep(connection, {
      link,
      protocol,
      role: options.role ?? "subscriber",
      endpoint: { host, port: 6379, tls: {} },
      move: ({ endpoint, credentials }) => {
        const { serverName } = endpoint?.tls ?? {};
        const name = serverName === undefined ? "" : ` as ${serverName}`;
        const to = endpoint === undefined ? "" : `to ${endpointText(endpoint)}${name}`;
        this.#tell(`moved ${to}${credentials?.password ?? ""}`);
        return Promise.resolve(ends.shift());
      },
      failed: (error) => this.#tell(`${error.name}: ${error.message}`),
    });
  }

  /** Credentials that live so long from when they are given. */
  lasting(lifeMs: number, password = "p"): () => Promise<Credentials> {
    return () => Promise.resolve({ password, expiresAt: this.clock.date() + lifeMs });
  }

  /** The server announces a move. */
  moving(sequence: number, seconds: number, host?: string, port = 0): void {
    this.upkeep.moving({ type: "moving", sequence, seconds, host, port });
  }

  #tell(what: string): void {
    this.told.push(`${this.clock.date() - this.#start} ${what}`);
  }
}

test("credentials are renewed when four fifths of their time are over, and those that come the same", async () => {
  const bench = new Bench({ lifeMs: 100_000 });
  bench.answers.push(bench.lasting(10_000, "second"), bench.lasting(1_000_000, "third"));
  await bench.clock.advance(1_000_000);
  assertEquals(bench.told, [
    "80000 asked",
    "80000 moved second",
    "88000 asked",
    "88000 moved third",
    "888000 asked",
    "888000 moved never",
  ]);
  assertEquals(bench.clock.pending, 0);
});

test("credentials that never expire are not asked for again", async () => {
  const bench = new Bench();
  await bench.clock.advance(1e9);
  assertEquals([bench.told, bench.clock.pending], [[], 0]);
});

test("however soon they expire, they are not asked for more often than once a second", async () => {
  const bench = new Bench({ lifeMs: 1 });
  bench.answers.push(bench.lasting(1), bench.lasting(5), bench.lasting(1));
  await bench.clock.advance(3_500);
  bench.upkeep.stop();
  assertEquals(bench.told.filter((line) => line.endsWith("asked")), ["1000 asked", "2000 asked", "3000 asked"]);
});

test("a provider that gives the same ones until shortly before they expire is asked ever closer to that", async () => {
  const bench = new Bench({ lifeMs: 100_000 });
  const expiresAt = bench.clock.date() + 100_000;
  bench.answers.push(...Array.from({ length: 9 }, () => () => Promise.resolve({ password: "same", expiresAt })));
  await bench.clock.advance(200_000);
  assertEquals(bench.told.filter((line) => line.endsWith("asked")).slice(0, 4), [
    "80000 asked",
    "96000 asked",
    "99200 asked",
    "100200 asked",
  ]);
});

test("what fails is told and tried again, after a second, then after twice as long, at most after half a minute", async () => {
  const refusal = new ReplyError("WRONGPASS no", "AUTH");
  const bench = new Bench({
    lifeMs: 100_000,
    answers: [() => Promise.reject(new Error("no token")), () => new Promise<never>(() => {})],
    ends: Array.from({ length: 6 }, () => refusal),
  });
  await bench.clock.advance(300_000);
  assertEquals(bench.told, [
    "80000 asked",
    "80000 ConnectionError: Cannot renew the credentials: asking for them failed",
    "81000 asked",
    "86000 TimeoutError: No answer within 5000 ms: credentials",
    ...[88_000, 92_000, 100_000, 116_000, 146_000, 176_000].flatMap((at) => [
      `${at} asked`,
      `${at} moved never`,
      `${at} ReplyError: AUTH was refused: WRONGPASS no`,
    ]),
    "206000 asked",
    "206000 moved never",
  ]);
});

test("what is stopped does nothing more, and leaves no timer, also in the middle of a renewal or before a move", async () => {
  for (const ms of [10, 80_000]) {
    const bench = new Bench({ lifeMs: 100_000, answers: [() => new Promise<never>(() => {})] });
    bench.moving(1, 1_000);
    await bench.clock.advance(ms);
    bench.upkeep.stop();
    await bench.clock.advance(1e6);
    assertEquals([bench.told, bench.clock.pending], [ms === 10 ? [] : ["80000 asked"], 0]);
  }
});

test("a machine that slept, its timers with it, renews within a minute of waking", async () => {
  const bench = new Bench({ lifeMs: 7_200_000 });
  await bench.clock.advance(1_000);
  bench.clock.sleep(7_100_000);
  await bench.clock.advance(60_000);
  assertEquals(bench.told, ["7160000 asked", "7160000 moved never"]);
});

const PLACES = [
  ["a subscriber in RESP3", { protocol: 3, role: "subscriber" }, "AUTH default never"],
  ["a connection for commands in RESP3", { protocol: 3, role: "commands" }, "AUTH default never"],
  ["a connection for commands in RESP2", { protocol: 2, role: "commands" }, "AUTH never"],
] as const;

for (const [what, options, line] of PLACES) {
  test(`new credentials are used in place on ${what}, and where they are refused there, elsewhere`, async () => {
    const bench = new Bench({ ...options, lifeMs: 1_000 });
    await bench.clock.advance(1_000);
    assertEquals([bench.server.peer.commands, bench.told], [[line], ["1000 asked"]]);
    const wrong = new Bench({
      ...options,
      lifeMs: 1_000,
      answers: [() => Promise.resolve({ username: "alice", password: "wrong" })],
    });
    await wrong.clock.advance(1_000);
    assertEquals([wrong.server.peer.commands, wrong.told], [["AUTH alice wrong"], ["1000 asked", "1000 moved wrong"]]);
  });
}

test("an announced move begins at once, without an endpoint after half of the time; one that fails is tried again", async () => {
  const bench = new Bench({ ends: [new ConnectionError("down")] });
  bench.moving(7, 30, "10.0.0.2", 7001);
  await bench.clock.advance(1_000);
  bench.moving(8, 30);
  await bench.clock.advance(60_000);
  assertEquals(bench.told, [
    "0 moved to 10.0.0.2:7001 as example.com",
    "0 ConnectionError: down",
    "1000 moved to 10.0.0.2:7001 as example.com",
    "16000 moved ",
  ]);
  bench.moving(8, 0);
  bench.moving(7, 0, "10.0.0.3", 7001);
  await bench.clock.advance(60_000);
  assertEquals(bench.told.length, 4, "what was announced before is not new");
});

test("the certificate of an address is that of the name that we went by; any other name has its own", async () => {
  const moves = [["example.com", "10.0.0.2"], ["example.com", "fd00::2"], ["example.com", "b.example.com"], [
    "10.0.0.1",
    "10.0.0.2",
  ]];
  const told = await Promise.all(moves.map(async ([from, to]) => {
    const bench = new Bench({ host: from! });
    bench.moving(1, 30, to, 7001);
    await bench.clock.advance(0);
    return bench.told[0];
  }));
  assertEquals(told, [
    "0 moved to 10.0.0.2:7001 as example.com",
    "0 moved to [fd00::2]:7001 as example.com",
    "0 moved to b.example.com:7001",
    "0 moved to 10.0.0.2:7001",
  ]);
});

test("it asks to be told of maintenance where it shall, in RESP3 alone, by what we go by", async () => {
  const ask = (type: string) => [`CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type ${type}`];
  const cases: readonly (readonly [BenchOptions, readonly string[]])[] = [
    [{ host: "redis.example.com" }, ask("none")],
    [{ host: "10.1.2.3" }, ask("internal-ip")],
    [{ host: "172.16.0.1" }, ask("internal-ip")],
    [{ host: "fd00::1" }, ask("internal-ip")],
    [{ host: "172.32.0.1" }, ask("external-ip")],
    [{ host: "2001:db8::1" }, ask("external-ip")],
    [{ host: "redis.example.com", protocol: 2 }, []],
    [{ host: "redis.example.com", maintenance: false }, []],
  ];
  for (const [options, commands] of cases) {
    const bench = new Bench({ protocol: 3, maintenance: true, ...options });
    await bench.clock.advance(0);
    assertEquals(bench.server.peer.commands, commands, options.host);
  }
});
