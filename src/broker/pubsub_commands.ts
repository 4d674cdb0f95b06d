/**
 * The commands of Pub/Sub.
 *
 * @module
 */

import type { Kind } from "../message.ts";
import { KIND_NAMES, KINDS } from "../protocol/kind.ts";
import { decodeName, encodeName } from "../name.ts";
import type { Reply } from "../resp/reply.ts";
import type { Call, CommandRow } from "./commands.ts";
import { acknowledgement, bulk, subscriptionCount } from "./registry.ts";

function subscribe(kind: Kind): CommandRow {
  return {
    words: [2, Infinity],
    names: "all",
    flags: ["subscriber"],
    run({ broker, connection, args }) {
      for (const name of args) {
        broker.registry.add(kind, name, connection);
        acknowledgement(KINDS[kind].subscribed, name, subscriptionCount(connection, kind)).sendTo(connection);
      }
    },
  };
}

function unsubscribe(kind: Kind): CommandRow {
  return {
    words: [1, Infinity],
    flags: ["subscriber"],
    run({ broker, connection, args }) {
      const acknowledge = (name: Uint8Array | undefined) =>
        acknowledgement(KINDS[kind].unsubscribed, name, subscriptionCount(connection, kind)).sendTo(connection);
      const names = args.length > 0 ? args : Array.from(connection.names[kind], encodeName);
      for (const name of names) {
        broker.registry.remove(kind, decodeName(name), connection);
        acknowledge(name);
      }
      if (names.length === 0) acknowledge(undefined);
    },
  };
}

/** The reply goes first, so that a publisher who is subscribed itself reads it before its own message, as from Redis 7.2 on. */
function publish(kind: "channel" | "shard"): CommandRow {
  return {
    words: [3, 3],
    names: "first",
    run({ broker, connection, args }) {
      const [channel, payload] = args;
      const deliveries = broker.registry.deliveries(kind, channel!, payload!);
      connection.reply({ type: "integer", value: deliveries.length });
      for (const { to, push } of deliveries) push.sendTo(to);
    },
  };
}

function listNames(kind: Kind): CommandRow {
  return {
    words: [2, 3],
    run: ({ broker, connection, args }) =>
      connection.reply({ type: "array", value: broker.registry.names(kind, args[0]).map(bulk) }),
  };
}

function countSubscribers(kind: Kind): CommandRow {
  return {
    words: [2, Infinity],
    run({ broker, connection, args }: Call) {
      const value = args.flatMap((name): Reply[] => [
        bulk(name),
        { type: "integer", value: broker.registry.subscribers(kind, decodeName(name)).size },
      ]);
      connection.reply({ type: "array", value });
    },
  };
}

/** SUBSCRIBE and its kin; the verbs of each kind come from the table of kinds. */
export const PUBSUB_COMMANDS: readonly (readonly [string, CommandRow])[] = [
  ...KIND_NAMES.map((kind) => [KINDS[kind].subscribe, subscribe(kind)] as const),
  ...KIND_NAMES.map((kind) => [KINDS[kind].unsubscribe, unsubscribe(kind)] as const),
  ["PUBLISH", publish("channel")],
  ["SPUBLISH", publish("shard")],
  ["PUBSUB|CHANNELS", listNames("channel")],
  ["PUBSUB|SHARDCHANNELS", listNames("shard")],
  ["PUBSUB|NUMSUB", countSubscribers("channel")],
  ["PUBSUB|SHARDNUMSUB", countSubscribers("shard")],
  ["PUBSUB|NUMPAT", {
    words: [2, 2],
    run: ({ broker, connection }) => connection.reply({ type: "integer", value: broker.registry.size("pattern") }),
  }],
];
