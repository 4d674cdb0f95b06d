/** Whatever keeps a connection from being made is tried again, and told by its name. */
import { assertEquals } from "@std/assert";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { refusal } from "../support/wire.ts";
import { cannotConnect, REASONS } from "../../src/transport/transport.ts";
import { Bench, type BenchOptions } from "./supervisor_bench.ts";

/** Connections 2 and 3 fail. */
const fails = (count: number) => count === 2 || count === 3;

function answers(verb: string, text: string): BenchOptions {
  return {
    peer: (count) => fails(count) ? { answer: (words) => words[0] === verb ? [refusal(text)] : undefined } : {},
  };
}

function dialFails(reason: keyof typeof REASONS): BenchOptions {
  return {
    dialling: (count) => {
      if (fails(count)) throw cannotConnect("localhost:6379", REASONS[reason], undefined);
    },
  };
}

const FULL = "ERR max number of clients reached";
const LOADING = "LOADING Redis is loading the dataset in memory";
const MASTERDOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
const WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled.";

const CAUSES: readonly (readonly [what: string, BenchOptions, says: string])[] = [
  ["a server that loads its data, in the handshake", answers("HELLO", LOADING), `HELLO was refused: ${LOADING}`],
  ["a server that loads its data", answers("SUBSCRIBE", LOADING), `SUBSCRIBE of "a" was refused: ${LOADING}`],
  ["a replica without its primary, in the handshake", answers("HELLO", MASTERDOWN), `HELLO was refused: ${MASTERDOWN}`],
  ["a replica without its primary", answers("SUBSCRIBE", MASTERDOWN), `SUBSCRIBE of "a" was refused: ${MASTERDOWN}`],
  ["a server that is full", answers("HELLO", FULL), `HELLO was refused: ${FULL}`],
  ["a wrong password", answers("HELLO", WRONGPASS), `HELLO was refused: ${WRONGPASS}`],
  [
    "an end in the handshake",
    { breaksAfter: (count) => fails(count) ? 0 : Infinity },
    "Lost the connection to localhost:6379: the server closed it, it may speak TLS on this port: rediss://",
  ],
  ["a host without an address", dialFails("unknownHost"), `Cannot connect to localhost:6379: ${REASONS.unknownHost}`],
  ["a refused connection", dialFails("refused"), `Cannot connect to localhost:6379: ${REASONS.refused}`],
  ["a host without a route", dialFails("unreachable"), `Cannot connect to localhost:6379: ${REASONS.unreachable}`],
];

for (const [what, options, says] of CAUSES) {
  test(`${what} is tried again, and told by its name each time`, async () => {
    const bench = new Bench(options);
    bench.want("a");
    await settle();
    bench.network.last.close();
    await bench.clock.advance(20_000);
    assertEquals(bench.causes.map(({ message }) => message).slice(1), [says, says]);
    assertEquals([bench.states(), bench.supervisor.reconnects], [["a subscribed"], 1]);
    const waits = bench.told.filter((line) => line.startsWith("reconnecting"));
    const pace = what === "a wrong password" ? "reconnecting 3 in 5000 ms" : "reconnecting 3 in 200 ms";
    assertEquals(waits, ["reconnecting 1 in 50 ms", pace.replace("3 in 200", "2 in 100").replace("3", "2"), pace]);
    assertEquals(bench.told.filter((line) => line.startsWith("recovered")), ["recovered since 0"]);
  });
}
