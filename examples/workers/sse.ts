/**
 * A Worker that streams a channel as server-sent events: `GET /?channel=news`. When the reader goes away, the subscription
 * is taken back and the connection closed.
 *
 * @module
 */

import { Client } from "@earshot/redis";

interface Env {
  REDIS_URL: string;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const channel = new URL(request.url).searchParams.get("channel") ?? "news";
    // Made for this request: a connection must not be used by another one. Making a client does no I/O.
    const redis = new Client(env.REDIS_URL);
    const pubsub = await redis.subscribe(channel);
    const events = new TransformStream<{ payload: string; gap: unknown }, string>({
      transform({ payload, gap }, controller) {
        if (gap !== undefined) controller.enqueue(`event: gap\ndata: ${JSON.stringify(gap)}\n\n`);
        controller.enqueue(`data: ${JSON.stringify(payload)}\n\n`);
      },
    });
    return new Response(pubsub.readable.pipeThrough(events).pipeThrough(new TextEncoderStream()), {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  },
};
