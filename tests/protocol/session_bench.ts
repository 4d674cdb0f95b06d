import type { Kind } from "../../src/message.ts";
import type { SessionEvent, Settled } from "../../src/protocol/push.ts";
import { Session, type SessionOptions } from "../../src/protocol/session.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { concat, encodeReply } from "../../src/resp/writer.ts";
import { takeOne } from "../support/run.ts";
import { commandLines, HELLO_MAP, refusal } from "../support/wire.ts";

const decoder = new TextDecoder();

/** An event on one line for each name. */
export function eventLines(event: SessionEvent): string[] {
  if (event.type !== "settled") return [eventLine(event)];
  return event.places.slice(event.from, event.to).map(({ name }) => `${event.did} ${event.kind} ${name}`);
}

/** An event on one line; of messages it takes the next one, since those that are left are told again. */
function eventLine(event: Exclude<SessionEvent, Settled>): string {
  switch (event.type) {
    case "messages": {
      const { kind, pattern, channel, payload } = takeOne(event);
      return ["message", kind, pattern, channel, decoder.decode(payload)].filter((word) => word !== undefined).join(
        " ",
      );
    }
    case "connected":
      return `connected ${event.protocol}`;
    case "denied":
      return `denied ${event.kind} ${event.name}: ${event.error.code}`;
    case "reply":
      return `reply ${event.ticket} ${event.reply.type}`;
    case "moving":
      return `moving ${event.sequence} in ${event.seconds} s to ${event.host}:${event.port}`;
    case "unknown-push":
      return `unknown-push ${event.label}`;
    case "synced":
      return "synced";
    default:
      return `${event.type} ${event.kind} ${event.name}`;
  }
}

export interface BenchOptions extends Partial<Omit<SessionOptions, "desired">> {
  readonly protocol?: 2 | 3;
  /** A session for commands, which subscribes to nothing. */
  readonly role?: "subscriber" | "commands";
}

/** A session on a bench: its time is a number, its peer is whoever calls. */
export class Bench {
  readonly session: Session;
  readonly desired = new Desired();
  readonly protocol: 2 | 3;
  now = 0;

  constructor(options: BenchOptions = {}) {
    const { protocol = 3, role = "subscriber", ...rest } = options;
    this.protocol = protocol;
    this.session = new Session({
      handshake: { protocol: "auto", database: 0 },
      keepAlive: false,
      handshakeTimeoutMs: 5_000,
      commandTimeoutMs: 3_000,
      limits: {},
      desired: role === "subscriber" ? this.desired : undefined,
      ...rest,
    }, this.now);
  }

  /** The commands that were sent since the last look, a line each. */
  sent(): string[] {
    return commandLines(this.session.output());
  }

  /** The server sends these in one piece; gives the events that come of it, a line each. */
  hear(...replies: Reply[]): string[] {
    this.session.receive(concat(replies.map((reply) => encodeReply(reply, this.protocol))), this.now);
    return this.events();
  }

  events(): string[] {
    const lines: string[] = [];
    for (let event; (event = this.session.next()) !== undefined;) lines.push(...eventLines(event));
    return lines;
  }

  /** Goes through the handshake, and forgets what was sent for it. */
  open(): string[] {
    const hello = this.protocol === 3 ? HELLO_MAP : refusal("ERR unknown command `HELLO`");
    this.sent();
    return this.hear(hello);
  }

  want(kind: Kind, ...names: string[]): void {
    for (const name of names) {
      this.desired.add(kind, name);
      this.session.sync(kind, name, this.now);
    }
  }

  drop(kind: Kind, ...names: string[]): void {
    for (const name of names) {
      this.desired.delete(kind, name);
      this.session.sync(kind, name, this.now);
    }
  }
}
