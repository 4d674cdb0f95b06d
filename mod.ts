/**
 * Redis Pub/Sub as a web stream that never goes quiet without telling you.
 *
 * @example
 * ```ts
 * import { Client } from "@earshot/redis";
 * import { TestBroker } from "@earshot/redis/testing";
 *
 * await using broker = new TestBroker(); // stands in for a server
 * await using redis = new Client({ dial: broker.dial }); // or new Client("redis://localhost:6379")
 *
 * await using news = await redis.subscribe("news"); // resolves on the server's acknowledgement
 * await redis.publish("news", "hello");
 * for await (const { channel, payload, gap } of news) {
 *   if (gap) console.warn(`may have missed messages: ${gap.reasons}, ${gap.downMs} ms, ${gap.dropped} dropped`);
 *   console.log(channel, payload);
 *   break; // unsubscribes and closes
 * }
 * ```
 *
 * @module
 */

export { Client } from "./src/client/client.ts";
export type { BatchOptions, ClientOptions, DeniedOptions, ProofOptions, PubSubOptions } from "./src/client/options.ts";
export { PubSub } from "./src/client/pubsub.ts";
export type { StreamNames } from "./src/client/pubsub.ts";
export type { PubSubStats } from "./src/client/stats.ts";
export type { Backfiller, StreamOptions } from "./src/delivery/options.ts";
export type { Overflow } from "./src/delivery/overflow.ts";
export { bytes, json, schema, text } from "./src/codec.ts";
export type { Codec, JsonCodec, StandardResult, StandardSchema } from "./src/codec.ts";
export type { BackoffOptions } from "./src/connection/backoff.ts";
export type { Credentials } from "./src/connection/link.ts";
export type { ReconnectOptions } from "./src/supervisor/options.ts";
export type { Subscription } from "./src/supervisor/roster.ts";
export type { CallOptions } from "./src/connection/wait.ts";
export type { Endpoint, TlsOptions } from "./src/endpoint.ts";
export {
  ConnectionError,
  DecodeError,
  OverflowError,
  ProtocolError,
  RedisError,
  ReplyError,
  TimeoutError,
} from "./src/errors.ts";
export type { ConnectionErrorOptions, DecodeErrorOptions, RedisErrorOptions, ReplyErrorOptions } from "./src/errors.ts";
export type { ClientEvent, ClientEventBody, EventContext } from "./src/event.ts";
export type { Gap, GapReason, Kind, Message } from "./src/message.ts";
export type { KeepAliveOptions } from "./src/protocol/keepalive.ts";
export type { Name, Names } from "./src/name.ts";
export type { ReaderLimits } from "./src/resp/limits.ts";
export type {
  AggregateReply,
  Attributed,
  BigNumberReply,
  BooleanReply,
  BulkStringReply,
  DoubleReply,
  ErrorReply,
  IntegerReply,
  MapReply,
  NullReply,
  Reply,
  SimpleStringReply,
  VerbatimStringReply,
} from "./src/resp/reply.ts";
export type { Dial, DialOptions, Transport } from "./src/transport/transport.ts";
