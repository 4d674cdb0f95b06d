/**
 * A Worker that streams a channel as server-sent events: `GET /?channel=news`. When the reader goes away, the subscription
 * is taken back and the connection closed.
 *
 * @module
 */

import { Client, type Message, RedisError } from "@earshot/redis";

interface Env {
  REDIS_URL: string;
  /** How often a reader is told that the stream still lives, in milliseconds. */
  BEAT_MS?: string;
}

export default {
  async fetch(request: Request, { REDIS_URL, BEAT_MS = "15000" }: Env): Promise<Response> {
    const channel = new URL(request.url).searchParams.get("channel") ?? "news";
    // One for each request, since none may use a connection of another. Making it does no I/O.
    const redis = new Client(REDIS_URL);
    try {
      const { readable } = await redis.subscribe(channel);
      const events = readable.pipeThrough(toEvents(Number(BEAT_MS))).pipeThrough(new TextEncoderStream());
      return new Response(events, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
    } catch (error) {
      if (error instanceof RedisError) return new Response(error.message, { status: 503 });
      throw error;
    }
  },
};

function toEvents(beatMs: number): TransformStream<Message, string> {
  let beat: ReturnType<typeof setInterval>;
  return new TransformStream({
    start(controller) {
      // Only a write tells the platform that the reader has gone.
      beat = setInterval(() => controller.enqueue(": still here\n\n"), beatMs);
    },
    transform({ payload, gap }, controller) {
      if (gap !== undefined) controller.enqueue(`event: gap\ndata: ${JSON.stringify(gap)}\n\n`);
      controller.enqueue(`data: ${JSON.stringify(payload)}\n\n`);
    },
    flush: () => clearInterval(beat),
    cancel: () => clearInterval(beat),
  });
}
