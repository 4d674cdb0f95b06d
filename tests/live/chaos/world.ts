/** Runs one round of chaos on a server: a client behind a proxy, a publisher beside it, and everything that can go wrong. */

import { Client, type ClientEvent, type Kind, type PubSub } from "@earshot/redis";
import { deadline, delay } from "@std/async";
import { FaultyProxy } from "../../support/faulty_proxy.ts";
import { fresh } from "../../support/ground.ts";
import { RawConnection } from "../../support/raw_connection.ts";
import { until } from "../../support/until.ts";
import { type Evidence, type Hold, moment } from "./evidence.ts";
import { Listener } from "./listener.ts";
import { type Action, type Fault, NAMES, type Plan, type StreamPlan, TARGETS, TICK_MS } from "./plan.ts";
import { Publisher } from "./publisher.ts";
import { SUBSCRIBE, UNSUBSCRIBE } from "./verbs.ts";

const KEEP_ALIVE = { idleMs: 150, timeoutMs: 200 };
const CONNECT_TIMEOUT_MS = 300;
/** When all faults are over, how long it may take until everything is as it was, in milliseconds. */
const RECOVERY_MS = 15_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** No step may take for ever; a round that takes as long as this hangs. */
const MOST_MS = 120_000;
/** How long a message may take, and how many are published at most until one is heard: a busy machine loses connections. */
const HEARD_MS = 3_000;
const MOST_TRIES = 4;

/** Where it runs. */
export interface Ground {
  readonly port: number;
  /** How late this program has been so far, in milliseconds. */
  readonly lagMs: () => number;
}

/** What came of it. */
export interface Outcome {
  readonly evidence: Evidence;
  /** What went wrong besides. */
  readonly problems: string[];
  readonly faults: Fault["what"][];
  /** From the end of the faults until all names were acknowledged, in milliseconds. */
  readonly recoveryMs: number;
}

/** Runs a round. Never rejects: what goes wrong is a problem of the outcome. */
export async function runRound(plan: Plan, ground: Ground): Promise<Outcome> {
  await using proxy = await FaultyProxy.open(ground.port);
  await using publisher = new Publisher(ground.port);
  const world = new World(plan, ground, { proxy, publisher });
  await deadline(world.run(), MOST_MS).catch(() => world.hangs());
  return world.outcome();
}

class World {
  #plan: Plan;
  #ground: Ground;
  #proxy: FaultyProxy;
  #publisher: Publisher;
  #stem = fresh("chaos");
  #crowd: readonly string[];
  #client: Client;
  #pubsub: PubSub;
  #main: Listener;
  #listeners: Listener[];
  #events: ClientEvent[] = [];
  #problems: string[] = [];
  #calls = new Set<Promise<unknown>>();
  #faults: Fault["what"][] = [];
  #freezes: { at: number; withinMs: number }[] = [];
  #step: "setting up" | "in chaos" | "recovering" | "closing" | "over" = "setting up";
  #recoveryMs = Infinity;
  #stats: Evidence["stats"] = { dropped: 0, delivered: 0 };

  constructor(plan: Plan, ground: Ground, { proxy, publisher }: { proxy: FaultyProxy; publisher: Publisher }) {
    this.#plan = plan;
    this.#ground = ground;
    this.#proxy = proxy;
    this.#publisher = publisher;
    this.#crowd = Array.from({ length: plan.crowd }, (_, index) => `${this.#stem}:crowd-${index}`);
    this.#client = new Client({
      host: "127.0.0.1",
      port: proxy.port,
      clientName: this.#stem,
      protocol: plan.protocol,
      ...plan.login === "nobody" ? {} : { credentials: renewed },
      keepAlive: KEEP_ALIVE,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      commandTimeoutMs: 400,
      closeTimeoutMs: CLOSE_TIMEOUT_MS,
      reconnect: { initialDelayMs: 5, maxDelayMs: 100 },
      waitOnFirstConnect: true,
      onEvent: (event) => this.#events.push(event),
    });
    const { overflow, maxQueuedMessages } = plan.main;
    this.#pubsub = this.#client.pubsub({ overflow, maxQueuedMessages });
    this.#main = new Listener("main", this.#pubsub, plan.main);
    this.#listeners = [this.#main];
  }

  async run(): Promise<void> {
    try {
      for (const name of this.#plan.main.names) this.#subscribe(name);
      if (this.#crowd.length > 0) this.#call("subscribe", this.#pubsub.subscribe(this.#crowd));
      for (const stream of this.#plan.streams) this.#open(stream);
      if (!this.#plan.early) await this.#settled();
      this.#step = "in chaos";
      await Promise.all([this.#publish(), this.#act()]);
      this.#step = "recovering";
      await this.#recover();
      this.#step = "closing";
      await this.#close();
      this.#step = "over";
    } catch (error) {
      this.#problems.push(error instanceof Error ? error.message : String(error));
    } finally {
      await this.#client.close();
    }
  }

  hangs(): void {
    this.#problems.push(`It hangs while ${this.#step}`);
  }

  outcome(): Outcome {
    const blocks = [this.#plan.main, ...this.#listeners.map(({ plan }) => plan)].some(({ overflow }) =>
      overflow === "block"
    );
    return {
      evidence: {
        published: this.#publisher.published,
        streams: this.#listeners.map(({ evidence }) => evidence),
        events: this.#events,
        kept: this.#name(0),
        stats: this.#stats,
        // Who reads nothing hears no silence; and a connection that is being replaced is not missed.
        freezes: blocks || this.#plan.login === "renewed" ? [] : this.#freezes,
        slackMs: this.#proxy.longestStayMs + 4 * this.#ground.lagMs() + 100,
        // Where the socket is not read, messages are as old as the consumer is slow.
        unreadMs: blocks ? this.#plan.ticks.length * TICK_MS : 0,
      },
      problems: [...this.#problems, ...this.#listeners.flatMap(({ problems }) => problems)],
      faults: this.#faults,
      recoveryMs: this.#recoveryMs,
    };
  }

  #name(index: number): string {
    return `${this.#stem}:${NAMES[index]!.name}`;
  }

  async #publish(): Promise<void> {
    const began = performance.now();
    const publishing: Promise<void>[] = [];
    for (const [tick, targets] of this.#plan.ticks.entries()) {
      await sleepUntil(began + tick * TICK_MS);
      publishing.push(this.#publisher.publish(targets.map((target) => this.#target(target))));
    }
    await Promise.all(publishing);
  }

  #target(index: number): typeof TARGETS[number] {
    const { verb, channel } = TARGETS[index]!;
    return { verb, channel: `${this.#stem}:${channel}` };
  }

  /** Does what the plan says, when it says so; every fault is over in the end. */
  async #act(): Promise<void> {
    const began = performance.now();
    const ends: Promise<void>[] = [];
    for (const action of this.#plan.actions) {
      await sleepUntil(began + action.at);
      if (action.type === "fault") ends.push(this.#fault(action.fault, action.forMs));
      else this.#do(action);
    }
    await Promise.all(ends);
  }

  #do(action: Exclude<Action, { type: "fault" }>): void {
    switch (action.type) {
      case "subscribe":
        return this.#subscribe(action.name);
      case "unsubscribe":
        return this.#unsubscribe(action.name);
      case "open":
        return this.#open(action.stream);
      case "cancel": {
        const open = this.#listeners.slice(1).filter(({ state }) => state === "open");
        const listener = open[action.stream % open.length];
        if (listener === undefined) return;
        for (const hold of listener.evidence.holds) hold.until ??= moment();
        return this.#call("cancel", listener.cancel());
      }
      case "mood":
        this.#listeners[action.stream % this.#listeners.length]!.mood = action.mood;
    }
  }

  #subscribe(index: number): void {
    const { kind } = NAMES[index]!;
    const hold = this.#hold(this.#main, index);
    this.#call(
      "subscribe",
      SUBSCRIBE[kind](this.#pubsub, this.#name(index)).then(() => void (hold.held ??= moment())),
    );
  }

  #unsubscribe(index: number): void {
    const { kind } = NAMES[index]!;
    const name = this.#name(index);
    for (const hold of this.#main.evidence.holds) {
      if (hold.kind === kind && hold.name === name) hold.until ??= moment();
    }
    this.#call("unsubscribe", UNSUBSCRIBE[kind](this.#pubsub, name));
  }

  #open(plan: StreamPlan): void {
    const of = (wanted: Kind) => {
      return plan.names.filter((index) => NAMES[index]!.kind === wanted).map((index) => this.#name(index));
    };
    const names = { channels: of("channel"), patterns: of("pattern"), shardChannels: of("shard") };
    const { overflow, maxQueuedMessages } = plan;
    const stream = this.#pubsub.stream(names, { overflow, maxQueuedMessages });
    const listener = new Listener(`stream ${this.#listeners.length}`, stream, plan);
    this.#listeners.push(listener);
    const holds = plan.names.map((index) => this.#hold(listener, index));
    this.#call(
      "synced",
      this.#pubsub.synced().then(() => {
        for (const hold of holds) hold.held ??= moment();
      }),
    );
  }

  /** A stream wants a name from now on. */
  #hold(listener: Listener, index: number): Hold {
    const [{ kind }, name] = [NAMES[index]!, this.#name(index)];
    const { holds } = listener.evidence;
    const present = holds.find((hold) => hold.kind === kind && hold.name === name && hold.until === undefined);
    if (present !== undefined) return present;
    const hold: Hold = { kind, name, asked: moment() };
    holds.push(hold);
    return hold;
  }

  #call(what: string, call: Promise<unknown>): void {
    const told = call.catch((error) => this.#problems.push(`${what} failed: ${error}`))
      .finally(() => this.#calls.delete(told));
    this.#calls.add(told);
  }

  /** Every call that was made so far is answered. */
  async #settled(): Promise<void> {
    await deadline(Promise.all(this.#calls), RECOVERY_MS)
      .catch(() => this.#problems.push(`${this.#calls.size} calls were not answered within ${RECOVERY_MS} ms`));
  }

  async #fault(fault: Fault, forMs: number): Promise<void> {
    const proxy = this.#proxy;
    this.#faults.push(fault.what);
    switch (fault.what) {
      case "cut":
        return proxy.cut();
      case "reset":
        return proxy.reset();
      case "kill":
        return await this.#kill();
      case "truncate":
        return proxy.truncate(fault.direction, fault.bytes);
      case "freeze":
        if (fault.directions.includes("down") && this.#isConnected()) {
          this.#freezes.push({
            at: moment(),
            withinMs: KEEP_ALIVE.idleMs + KEEP_ALIVE.timeoutMs + CONNECT_TIMEOUT_MS,
          });
        }
        return proxy.freeze("present", fault.directions);
      case "freeze a subscription":
        proxy.freeze({ trigger: "SUBSCRIBE" });
        break;
      case "freeze what comes":
        proxy.welcome("frozen");
        proxy.cut();
        break;
      case "refuse":
      case "refuse with a reset":
        proxy.welcome(fault.what === "refuse" ? "cut" : "reset");
        proxy.cut();
        break;
      case "stall":
        proxy.stall();
        break;
      case "delay":
      case "drip":
      case "single bytes":
        proxy.shape(fault.direction, fault.flow);
    }
    await delay(forMs);
    if (fault.what === "stall") proxy.go();
    else if ("flow" in fault) proxy.shape(fault.direction, {});
    else proxy.thaw();
  }

  #isConnected(): boolean {
    return this.#events.findLast(({ type }) => type === "connected" || type === "disconnected")?.type === "connected";
  }

  /** CLIENT KILL, where the server can be reached. */
  async #kill(): Promise<void> {
    try {
      await using raw = await RawConnection.open(this.#ground.port);
      const ids = (await raw.clients(this.#stem)).flatMap((client) => client.get("id") ?? []);
      await Promise.all(ids.map((id) => raw.ask("CLIENT", "KILL", "ID", id)));
    } catch {
      // The server is down, which is worse.
    }
  }

  /** The faults are over: everything has to come again, and nothing that was lost may stay untold. */
  async #recover(): Promise<void> {
    const began = performance.now();
    this.#proxy.heal();
    for (const listener of this.#listeners) listener.mood = "eager";
    await this.#settled();
    await this.#pubsub.synced({ timeoutMs: RECOVERY_MS });
    this.#recoveryMs = performance.now() - began;
    await until("all that waits is taken", RECOVERY_MS, () => this.#pubsub.stats().queued === 0);
    // One at a time: a queue may have room for one only, and this one has to be the last of its stream.
    for (const target of TARGETS.keys()) await this.#hear(target);
    this.#stats = this.#pubsub.stats();
    await this.#look();
  }

  /** What is published now arrives at everybody who wants it, or is lost and told by the next. */
  async #hear(target: number): Promise<void> {
    const { published } = this.#publisher;
    const { verb, channel } = this.#target(target);
    const waiting = this.#listeners.filter(({ evidence: { holds, ended } }) =>
      ended === "no" && holds.some(({ kind, name, until }) => {
        if (until !== undefined || (kind === "shard") !== (verb === "SPUBLISH")) return false;
        return kind === "pattern" ? channel.startsWith(name.slice(0, -1)) : channel === name;
      })
    );
    const missing = () => waiting.filter(({ last }) => last?.number !== published.at(-1)?.number);
    for (let tries = 1; tries === 1 || missing().length > 0; tries++) {
      if (tries > MOST_TRIES) {
        throw new Error(
          `${JSON.stringify(channel)} is not heard by ${missing().map(({ evidence: { label } }) => label)}`,
        );
      }
      await this.#publisher.publish([{ verb, channel }]);
      await until("it is heard", HEARD_MS, () => published.at(-1)!.certain && missing().length === 0).catch(() => {});
    }
  }

  /** The server has the same idea of it as we. */
  async #look(): Promise<void> {
    const holds = this.#listeners.flatMap(({ evidence }) => evidence.holds.filter(({ until }) => until === undefined));
    const all = [...holds, ...this.#crowd.map((name) => ({ kind: "channel", name }))];
    const wanted = new Set(all.map(({ kind, name }) => `${kind} ${name}`));
    const ours = this.#pubsub.subscriptions().map(({ kind, name, state }) =>
      `${kind} ${name}${state === "subscribed" ? "" : ` ${state}`}`
    );
    if (ours.toSorted().join() !== [...wanted].toSorted().join()) {
      this.#problems.push(`Wanted ${[...wanted]}, and subscriptions() says ${ours}`);
    }
    await using raw = await RawConnection.open(this.#ground.port);
    const count = (kind: Kind) => [...wanted].filter((name) => name.startsWith(`${kind} `)).length;
    const expected = `1: ${count("channel")}+${count("pattern")}+${count("shard")}`;
    let seen = "";
    // A move subscribes to a channel of its own, and has two connections for a moment.
    await until("the server has what is wanted, and no more", RECOVERY_MS, async () => {
      const clients = await raw.clients(this.#stem);
      seen = `${clients.length}: ${["sub", "psub", "ssub"].map((field) => clients[0]?.get(field)).join("+")}`;
      return seen === expected;
    }).catch(() => this.#problems.push(`The server has connections with ${seen} names, expected ${expected}`));
  }

  async #close(): Promise<void> {
    const began = performance.now();
    await this.#pubsub.close();
    const tookMs = performance.now() - began;
    if (tookMs > CLOSE_TIMEOUT_MS + this.#ground.lagMs() + 200) this.#problems.push(`close() took ${tookMs} ms`);
    await Promise.all(this.#listeners.map(({ ended }) => ended));
    await using raw = await RawConnection.open(this.#ground.port);
    await until("the connection is gone", RECOVERY_MS, async () => (await raw.clients(this.#stem)).length === 0);
  }
}

/** Who the clients are that renew their credentials. */
export const USER = { username: "renewed", password: "open-sesame" };

/** Credentials that do not last. */
function renewed(): Promise<{ username: string; password: string; expiresAt: number }> {
  return Promise.resolve({ ...USER, expiresAt: Date.now() + 500 });
}

async function sleepUntil(moment: number): Promise<void> {
  const ms = moment - performance.now();
  if (ms > 0) await delay(ms);
}
