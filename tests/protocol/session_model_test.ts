/** A session joined to a server by bytes that arrive in any pieces: whatever is asked for, in the end the server has it. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Kind } from "../../src/message.ts";
import { encodeName } from "../../src/name.ts";
import { KIND_NAMES, KINDS } from "../../src/protocol/kind.ts";
import { Session } from "../../src/protocol/session.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import { concat } from "../../src/resp/writer.ts";
import { ModelPeer } from "../support/model_server.ts";
import { takeAll } from "../support/run.ts";
import { test } from "../support/test.ts";
import { push, refusal } from "../support/wire.ts";

type Step =
  | { readonly type: "want" | "drop" | "revoke" | "refuse" | "allow"; readonly kind: Kind; readonly name: string }
  | { readonly type: "want all"; readonly kind: Kind; readonly names: readonly string[] }
  | { readonly type: "to server" | "to client"; readonly bytes: number }
  | { readonly type: "publish" | "ping" | "disconnect" };

const kind = fc.constantFrom(...KIND_NAMES);
const name = fc.constantFrom("a", "b", "\udcff");
const named = (type: "want" | "drop" | "revoke" | "refuse" | "allow") =>
  fc.record({ type: fc.constant(type), kind, name });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: named("want") },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("want all" as const), kind, names: fc.array(name) }) },
  { weight: 6, arbitrary: named("drop") },
  { weight: 2, arbitrary: named("revoke") },
  { weight: 1, arbitrary: named("refuse") },
  { weight: 1, arbitrary: named("allow") },
  {
    weight: 14,
    arbitrary: fc.record({
      type: fc.constantFrom("to server" as const, "to client" as const),
      bytes: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(1_000_000)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("publish" as const, "ping" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("disconnect" as const) }) },
);

/** The session, the server, and the bytes on their way between them. */
class Joint {
  readonly desired = new Desired();
  readonly refused = new Set<string>();
  readonly protocol: 2 | 3;
  session!: Session;
  peer!: ModelPeer;
  #toServer = new Uint8Array();
  #toClient = new Uint8Array();

  constructor(protocol: 2 | 3) {
    this.protocol = protocol;
    this.connect();
  }

  connect(): void {
    this.#toServer = new Uint8Array();
    this.#toClient = new Uint8Array();
    this.session = new Session({
      handshake: { protocol: "auto", database: 0, password: "hunter2", clientName: "app" },
      keepAlive: false,
      handshakeTimeoutMs: 1,
      commandTimeoutMs: 1,
      limits: {},
      desired: this.desired,
    }, 0);
    this.peer = new ModelPeer({
      protocol: this.protocol,
      answer: ([verb, name]) => this.refused.has(`${verb} ${name}`) ? [refusal("NOPERM no")] : undefined,
    });
    this.#flush();
  }

  apply(step: Step): void {
    switch (step.type) {
      case "want":
        this.desired.add(step.kind, step.name);
        this.session.sync(step.kind, step.name, 0);
        break;
      case "want all": {
        const entries = this.desired.enter(step.kind, step.names);
        for (const entry of entries) entry.wish = "wanted";
        this.session.request(step.kind, entries, 0);
        break;
      }
      case "drop":
        this.desired.delete(step.kind, step.name);
        this.session.sync(step.kind, step.name, 0);
        break;
      case "revoke": {
        const names = this.peer.names.shard;
        if (names.delete(step.name)) this.#say(push("sunsubscribe", encodeName(step.name), names.size));
        break;
      }
      case "refuse":
        this.refused.add(`${KINDS[step.kind].subscribe} ${step.name}`);
        break;
      case "allow":
        this.refused.delete(`${KINDS[step.kind].subscribe} ${step.name}`);
        break;
      case "to server":
        this.#carryToServer(step.bytes);
        break;
      case "to client":
        this.#carryToClient(step.bytes);
        break;
      case "publish":
        for (const name of this.peer.names.channel) this.#say(push("message", encodeName(name), "x"));
        break;
      case "ping":
        this.session.command("PING", ["PING"], 0);
        break;
      case "disconnect":
        this.connect();
    }
    this.#flush();
  }

  /** Lets everything arrive that is on its way, in pieces of so many bytes. */
  rest(bytes: number): void {
    while (this.#toServer.length > 0 || this.#toClient.length > 0) {
      this.#carryToServer(bytes);
      this.#carryToClient(bytes);
      this.#flush();
    }
  }

  #carryToServer(count: number): void {
    const chunk = this.#toServer.slice(0, count);
    this.#toServer = this.#toServer.slice(count);
    if (chunk.length > 0) this.#toClient = concat([this.#toClient, ...this.peer.receive(chunk)]).slice();
  }

  #carryToClient(count: number): void {
    const chunk = this.#toClient.slice(0, count);
    this.#toClient = this.#toClient.slice(count);
    if (chunk.length > 0) this.session.receive(chunk, 0);
    for (let event; (event = this.session.next()) !== undefined;) if (event.type === "messages") takeAll(event);
  }

  #say(...replies: ReturnType<typeof push>[]): void {
    this.#toClient = concat([this.#toClient, ...replies.map((reply) => this.peer.encode(reply))]).slice();
  }

  #flush(): void {
    this.#toServer = concat([this.#toServer, this.session.output() ?? new Uint8Array()]).slice();
  }
}

for (const protocol of [3, 2] as const) {
  test(`in RESP${protocol} whatever is wanted, dropped, revoked, refused and cut, the last word counts`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), fc.integer({ min: 1, max: 80 }), (steps, pieces) => {
        const joint = new Joint(protocol);
        for (const step of steps) joint.apply(step);
        joint.rest(pieces);
        // What was refused, and is wanted still, is had once it is allowed and somebody asks again.
        joint.refused.clear();
        for (const kind of KIND_NAMES) {
          for (const { name } of joint.desired.wanted(kind)) joint.apply({ type: "want", kind, name });
        }
        joint.rest(pieces);
        for (const kind of KIND_NAMES) {
          const wanted = joint.desired.wanted(kind).map(({ name }) => name).sort();
          assertEquals([...joint.peer.names[kind]].sort(), wanted);
          assertEquals(
            [...joint.session.subscriptions!.places(kind)].map(({ name, state }) => `${name} ${state}`).sort(),
            wanted.map((name) => `${name} subscribed`),
          );
        }
        assertEquals([joint.session.subscriptions!.unsettled, joint.session.deadline()], [0, Infinity]);
      }),
      { numRuns: 1_000 },
    );
  });
}
