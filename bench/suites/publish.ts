/**
 * How many messages a second one client publishes, when many promises are waited for at a time, and when it is one.
 *
 * @module
 */

import { encodeCommand } from "../../src/resp/writer.ts";
import type { Published, PublishTask } from "../consumers/publish.ts";
import { anywhere, cores, type Keep } from "../cores.ts";
import { Lines } from "../process.ts";
import { startRedis } from "../server.ts";
import { best, decimals, each, ratios, show, table, times, whole } from "../spread.ts";
import type { Ground, Suite } from "../suite.ts";
import { takeTurns, type Turn } from "../turns.ts";
import { judge, type Verdict } from "../verdict.ts";

const IN_FLIGHT: readonly number[] = [1_000, 1];
const HEARD = "heard";
const UNHEARD = "unheard";
const HEARD_ONE_OF = 16;
const PAYLOAD = "0123456789abcdef";
const GRACE_MS = 20_000;

interface Client {
  readonly label: string;
  /** Of `consumers/publish.ts`. */
  readonly name: string;
  readonly role: "ours" | "peer" | "raw";
  /** Left out of a quick look. */
  readonly slow?: boolean;
}

const CLIENTS: readonly Client[] = [
  { label: "Earshot", name: "earshot", role: "ours" },
  { label: "node-redis", name: "node_redis", role: "peer" },
  { label: "ioredis 5", name: "ioredis", role: "peer" },
  { label: "ioredis 5, `enableAutoPipelining`", name: "ioredis_auto", role: "peer" },
  { label: "iovalkey", name: "iovalkey", role: "peer", slow: true },
  { label: "iovalkey, `enableAutoPipelining`", name: "iovalkey_auto", role: "peer", slow: true },
];
/** One message at a time is all that it can. */
const RAW: Client = { label: "raw socket", name: "raw", role: "raw", slow: true };
const BUN_CLIENT: Client = { label: "Bun's own client", name: "bun", role: "peer" };

/** What a run measured. */
interface Measurement {
  readonly perSecond: number;
  /** Processor time of the publisher, in microseconds a message. */
  readonly cpuMicros: number;
}

/** The runs of one client with so many promises. */
interface Series extends Pick<Client, "label" | "role"> {
  readonly runtime: string;
  readonly inFlight: number;
  readonly rounds: (Measurement | null)[];
}

/** Everything that was measured. */
export interface PublishOutcome {
  readonly series: readonly Series[];
}

/** The suite. */
export const suite: Suite<PublishOutcome> = {
  name: "publish",
  title: "Publishing",
  programs: ["publish"],
  run: measure,
  render,
  verdicts,
};

async function measure(ground: Ground): Promise<PublishOutcome> {
  const { plan: { quick, warmUpMs, measureMs }, runtimes } = ground;
  // With one promise at a time the client and the server take turns, so it matters where they are: see cores.ts.
  await using many = await startRedis(ground);
  await using single = await startRedis(ground);
  if (many === undefined || single === undefined) return { series: [] };
  const keep = await cores(ground);
  await keep(single.pid, "server and client");
  const all = IN_FLIGHT.flatMap((inFlight) =>
    runtimes.flatMap((runtime) =>
      [...CLIENTS, ...runtime.name === "Bun" ? [BUN_CLIENT] : [], ...inFlight === 1 ? [RAW] : []]
        .filter(({ slow }) => !(quick && slow))
        .map(({ label, role, name }) => {
          const series: Series = { label, role, runtime: runtime.name, inFlight, rounds: [] };
          return { series, command: [...runtime.command("publish"), name] };
        })
    )
  );
  const turns = all.map(({ series, command }): Turn<Measurement> => {
    const { label, role, runtime, inFlight, rounds } = series;
    const [server, place] = inFlight === 1 ? [single, keep] : [many, anywhere];
    const task: PublishTask = {
      port: server.port,
      inFlight,
      heard: HEARD,
      unheard: UNHEARD,
      heardOneOf: HEARD_ONE_OF,
      payload: PAYLOAD,
      warmUpMs,
      measureMs,
    };
    return {
      name: `${runtime}: ${label}, ${inFlight} at a time`,
      isOurs: role === "ours",
      rounds,
      measure: () => runOnce(command, task, place),
    };
  });
  await takeTurns(ground, turns);
  return { series: all.map(({ series }) => series) };
}

async function runOnce(command: readonly string[], task: PublishTask, keep: Keep): Promise<Measurement> {
  await using listener = await Listener.open(task.port);
  await using publisher = new Lines([...command, JSON.stringify(task)]);
  const answer = await publisher.next(GRACE_MS);
  if (answer !== "ready") throw new Error(`A program is not ready: ${answer}`);
  await keep(publisher.pid, "server and client");
  await publisher.say("go");
  const ms = task.warmUpMs + task.measureMs + GRACE_MS;
  const { count, seconds, cpuSeconds, heard }: Published = JSON.parse(await publisher.next(ms));
  await listener.hasHeard(heard);
  return { perSecond: count / seconds, cpuMicros: cpuSeconds * 1e6 / count };
}

/** A raw subscriber: there must be one to be counted by the server, and it counts, too. */
class Listener implements AsyncDisposable {
  readonly #conn: Deno.TcpConn;
  readonly #loop: Promise<void>;
  #bytes = 0;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.#loop = this.#read();
  }

  static async open(port: number): Promise<Listener> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(encodeCommand(["SUBSCRIBE", HEARD]));
    const acknowledgement = new Uint8Array(256);
    for (let text = ""; !text.endsWith(":1\r\n");) {
      const count = await conn.read(acknowledgement) ?? 0;
      if (count === 0) throw new Error("Redis ended the connection of the listener");
      text += new TextDecoder().decode(acknowledgement.subarray(0, count));
    }
    return new Listener(conn);
  }

  /**
   * Waits until the messages are here.
   *
   * @throws {Error} when others are here than were published
   */
  async hasHeard(messages: number): Promise<void> {
    const message = encodeCommand(["message", HEARD, PAYLOAD]).length;
    const late = performance.now() + GRACE_MS;
    while (this.#bytes < messages * message && performance.now() < late) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (this.#bytes === messages * message) return;
    throw new Error(`Of ${messages} messages there arrived: ${this.#bytes / message}`);
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let count; (count = await this.#conn.read(buffer)) !== null;) this.#bytes += count;
    } catch (error) {
      // Closed while it read.
      if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#conn.close();
    await this.#loop;
  }
}

function render({ series }: PublishOutcome): string {
  if (series.length === 0) return "Nothing was measured.";
  const levels = [...new Set(series.map(({ inFlight }) => inFlight))];
  return [
    `PUBLISH of ${PAYLOAD.length} bytes over the one connection that a client has for it, so many promises being waited ` +
    "for at any time. A client that joins what is called in one turn writes once for many of them. Of one promise at a " +
    "time, where the client and the server share a core, the raw socket is the floor.",
    ...levels.map((inFlight) => levelTable(inFlight, series.filter((one) => one.inFlight === inFlight))),
  ].join("\n\n");
}

function levelTable(inFlight: number, all: readonly Series[]): string {
  return table([
    [
      atATime(inFlight),
      "thousand messages a second",
      "of the best peer's",
      "CPU, µs a message",
      "of the best peer's",
    ],
    ...all.map((one) => [
      `${one.runtime}: ${one.label}`,
      show(each(one.rounds, ({ perSecond }) => perSecond / 1e3), decimals(inFlight === 1 ? 1 : 0)),
      one.role === "ours" ? show(toBest(all, one, speed, "most"), times) : "",
      show(each(one.rounds, cpu), decimals(2)),
      one.role === "ours" ? show(toBest(all, one, cpu, "least"), times) : "",
    ]),
  ]);
}

function atATime(inFlight: number): string {
  return `${whole(inFlight)} ${inFlight === 1 ? "promise" : "promises"} at a time`;
}

function speed({ perSecond }: Measurement): number {
  return perSecond;
}

function cpu({ cpuMicros }: Measurement): number {
  return cpuMicros;
}

/** Over that of the best peer of the same runtime. */
function toBest(
  all: readonly Series[],
  one: Series,
  of: (measurement: Measurement) => number,
  which: "least" | "most",
): number[] {
  const peers = all.filter(({ role, runtime }) => role === "peer" && runtime === one.runtime);
  return ratios(each(one.rounds, of), best(peers.map(({ rounds }) => each(rounds, of)), which));
}

function verdicts({ series }: PublishOutcome): Verdict[] {
  return series.filter(({ role }) => role === "ours").flatMap((one) => {
    const { inFlight, runtime } = one;
    const all = series.filter((other) => other.inFlight === inFlight);
    const what = `messages a second to the best peer's, ${atATime(inFlight)}`;
    const toPeers = (which: Series) => toBest(all, which, speed, "most");
    const raw = all.find((other) => other.role === "raw" && other.runtime === runtime);
    return judge({ what, limit: 1, is: "at least", format: times }, runtime, toPeers(one), raw && toPeers(raw));
  });
}
