/** What is called to take a name of each kind up, and to let go of it. */

import type { Kind, PubSub } from "@earshot/redis";

export const SUBSCRIBE: Readonly<Record<Kind, (pubsub: PubSub, name: string) => Promise<void>>> = {
  channel: (pubsub, name) => pubsub.subscribe(name),
  pattern: (pubsub, name) => pubsub.psubscribe(name),
  shard: (pubsub, name) => pubsub.ssubscribe(name),
};
export const UNSUBSCRIBE: typeof SUBSCRIBE = {
  channel: (pubsub, name) => pubsub.unsubscribe(name),
  pattern: (pubsub, name) => pubsub.punsubscribe(name),
  shard: (pubsub, name) => pubsub.sunsubscribe(name),
};
