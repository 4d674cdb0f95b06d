/** Runs of messages, and messages as plain objects: what they were is what they stay, whatever is read after them. */
import { encodeName } from "../../src/name.ts";
import { KINDS } from "../../src/protocol/kind.ts";
import type { WireMessage } from "../../src/protocol/push.ts";
import { Run } from "../../src/run/run.ts";
import { Topic } from "../../src/run/topics.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { item } from "./wire.ts";

const encoder = new TextEncoder();

/** A message with a pattern is one of that pattern, any other one of its channel. */
export function message(channel: string, payload: string | Uint8Array, pattern?: string): WireMessage {
  const kind = pattern === undefined ? "channel" : "pattern";
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  return { type: "message", kind, channel, pattern, payload: bytes };
}

/** The reply by which a server tells of a message. */
export function messageReply({ kind, channel, pattern, payload }: WireMessage): Reply {
  const names = [...pattern === undefined ? [] : [pattern], channel].map((name) => item(encodeName(name)));
  return { type: "push", value: [item(KINDS[kind].message), ...names, item(payload)] };
}

/** One topic for each kind and names, as a connection has them. */
export class KnownTopics {
  #topics = new Map<string, Topic>();

  of({ kind, channel, pattern }: WireMessage): Topic {
    const key = JSON.stringify([kind, channel, pattern]);
    const topic = this.#topics.get(key) ?? new Topic(kind, channel, pattern);
    this.#topics.set(key, topic);
    return topic;
  }
}

/** A run of these messages, which stand a few bytes apart, as they do on the wire. */
export function runOf(messages: readonly WireMessage[], topics: KnownTopics = new KnownTopics()): Run {
  const run = new Run();
  fill(run, messages, topics);
  return run;
}

/** Makes these messages the run. */
export function fill(run: Run, messages: readonly WireMessage[], topics: KnownTopics = new KnownTopics()): void {
  const between = encoder.encode("\r\n>3\r\n");
  const bytes = new Uint8Array(messages.reduce((sum, { payload }) => sum + between.length + payload.length, 2));
  run.begin(bytes);
  let at = 0;
  for (const message of messages) {
    bytes.set(between, at);
    bytes.set(message.payload, at + between.length);
    const from = at + between.length;
    at = from + message.payload.length;
    run.add(topics.of(message), from, at);
  }
}

/** Makes messages of these payloads, all on one channel, the run. */
export function refill(run: Run, payloads: readonly Uint8Array[]): void {
  fill(run, payloads.map((payload) => message("news", payload)));
}

/** Takes the next message, as a plain object. */
export function takeOne(run: Run): WireMessage {
  const i = run.taken++;
  const { kind, channel, pattern } = run.topic(i);
  return { type: "message", kind, channel, pattern, payload: run.view(i).slice() };
}

/** Takes what is left of a run, until it is halted. */
export function takeAll(run: Run): WireMessage[] {
  const messages: WireMessage[] = [];
  while (run.taken < run.count && run.state === "flowing") messages.push(takeOne(run));
  return messages;
}
