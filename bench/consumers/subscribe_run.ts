/**
 * What every program of the suite `subscribe` does with its client: subscribes to many channels at once, then has the
 * server cut the connection, and waits until all of them are there again. Whether they are is asked of the server.
 *
 * @module
 */

import fs from "node:fs";
import process from "node:process";
import { Client } from "../../mod.ts";
import { channelNames } from "../frames.ts";
import { spread } from "../spread.ts";

/** What a program is told, as its one argument, in JSON. */
export interface SubscribeTask {
  /** Of a Redis server that nobody else uses, on 127.0.0.1. */
  readonly port: number;
  readonly channels: number;
}

/** What it measured, in milliseconds; null where the client said that it has them, and the server did not. */
export interface SubscribeOutcome {
  /** From the call until it resolves; the connection is there before, but nothing of this has ever run. */
  readonly firstMs: number | null;
  /**
   * The same, when it was unsubscribed from and subscribed to some times: what runs is compiled. The median of the last
   * {@linkcode LAST_TIMES}, since garbage is collected in one of them.
   */
  readonly againMs: number | null;
  /**
   * From CLIENT KILL until the client says that it has every channel again; where it never says, until the server has
   * them. Null where it has them not after {@linkcode PATIENCE_MS}.
   */
  readonly restoreMs: number | null;
}

/** A client that is connected, and subscribed to {@linkcode FIRST}. */
export interface Subscriber {
  /** Resolves when the server has acknowledged every one. */
  subscribe(names: string[]): Promise<unknown>;
  /** Likewise. */
  unsubscribe(names: string[]): Promise<unknown>;
  /** Calls `cut`, and resolves when every channel is there again. A client without it never says. */
  restored?(cut: () => Promise<void>): Promise<void>;
}

/** What this process is to do. */
export const task: SubscribeTask = JSON.parse(process.argv[2] ?? "");

/** A channel that every client has before it is measured, so that it is a subscriber already. */
export const FIRST = "first";

/** Whoever has not resubscribed by then has lost them, in milliseconds. */
export const PATIENCE_MS = 3_000;

/** It is repeated until so many names were subscribed to anew. */
const WARM_NAMES = 60_000;

/** See {@linkcode SubscribeOutcome.againMs}. */
const LAST_TIMES = 3;

/** So often the server is asked whether it has them, in milliseconds. */
const LOOK_MS = 2;

/** Measures, tells, and ends the process. */
export async function run(connect: () => Promise<Subscriber>): Promise<never> {
  const control = new Client({ host: "127.0.0.1", port: task.port });
  await control.command(["PING"]);
  const client = await connect();
  const names = channelNames(task.channels).map(flat);
  const subscribe = async () => {
    const from = performance.now();
    await client.subscribe(names);
    const ms = performance.now() - from;
    return await serverHas(control, names.length + 1) ? ms : null;
  };
  const firstMs = await subscribe();
  const times: (number | null)[] = [];
  for (let done = 0; done < WARM_NAMES; done += names.length) {
    await client.unsubscribe(names);
    times.push(await subscribe());
  }
  const last = times.slice(-LAST_TIMES).filter((ms) => ms !== null);
  const againMs = times.at(-1) === null ? null : spread(last).median;
  await restored(control, names.length + 1, performance.now() + PATIENCE_MS);
  await check(control, names, "subscribe");

  const start = performance.now();
  const cut = async () => {
    const { value } = await control.command(["CLIENT", "KILL", "TYPE", "pubsub"]);
    if (value !== 1) throw new Error(`There must be one subscriber to cut off: ${value}`);
  };
  let has = true;
  if (client.restored !== undefined) await client.restored(cut);
  else {
    await cut();
    has = await restored(control, names.length + 1, start + PATIENCE_MS);
  }
  const restoreMs = has ? performance.now() - start : null;
  if (has) await check(control, names, "resubscribe");

  const outcome: SubscribeOutcome = { firstMs, againMs, restoreMs };
  fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
  process.exit(0);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The same text in one piece: a string that was put together is a sum of others until somebody needs it whole. By one
 * encoder and one decoder: what is left behind here, some client would have to collect while it is measured.
 */
function flat(text: string): string {
  return decoder.decode(encoder.encode(text));
}

/** Waits until one client has so many channels; false where it does not have them by then. */
async function restored(control: Client, channels: number, untilMs: number): Promise<boolean> {
  while (performance.now() < untilMs) {
    if (await serverHas(control, channels)) return true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return false;
}

/** Has one client so many channels? */
async function serverHas(control: Client, channels: number): Promise<boolean> {
  const { value } = await control.command(["CLIENT", "LIST", "TYPE", "pubsub"]);
  const lines = new TextDecoder().decode(value instanceof Uint8Array ? value : new Uint8Array());
  return lines.includes(` sub=${channels} `);
}

/** Fails unless the server has these channels and no others. */
async function check(control: Client, names: readonly string[], what: string): Promise<void> {
  const there = new Set(await control.channels());
  const missing = [FIRST, ...names].filter((name) => !there.has(name));
  if (missing.length > 0 || there.size !== names.length + 1) {
    throw new Error(`After ${what} the server has other channels than were asked for: ${there.size}`);
  }
}
