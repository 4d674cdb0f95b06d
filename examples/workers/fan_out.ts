/**
 * A Durable Object that holds one subscription and hands every message to all of its WebSockets: `GET /news` of the Worker
 * is a WebSocket with what is published on `news`, and what a client sends there is published. However many readers a
 * channel has, Redis has one connection for it, and one object may use it in all of its requests.
 *
 * @module
 */

import { DurableObject } from "cloudflare:workers";
import { Client, type PubSub } from "@earshot/redis";

interface Env {
  REDIS_URL: string;
  FanOut: DurableObjectNamespace<FanOut>;
}

export class FanOut extends DurableObject<Env> {
  #redis = new Client(this.env.REDIS_URL);
  #pubsub: Promise<PubSub> | undefined;
  #sockets = new Set<WebSocket>();

  override async fetch(request: Request): Promise<Response> {
    const channel = decodeURIComponent(new URL(request.url).pathname.slice(1));
    const { 0: theirs, 1: ours } = new WebSocketPair();
    ours.accept();
    this.#sockets.add(ours);
    ours.addEventListener("message", ({ data }) => {
      this.ctx.waitUntil(this.#redis.publish(channel, data instanceof ArrayBuffer ? new Uint8Array(data) : data));
    });
    const leave = () => this.#leave(ours);
    ours.addEventListener("close", leave);
    ours.addEventListener("error", leave);
    await this.#listen(channel);
    return new Response(null, { status: 101, webSocket: theirs });
  }

  /** The first reader subscribes; all wait until the server has acknowledged it. */
  async #listen(channel: string): Promise<void> {
    if (this.#pubsub === undefined) {
      this.#pubsub = this.#redis.subscribe(channel);
      this.#pubsub.then((pubsub) => this.#hand(pubsub)).catch(() => this.#end());
    }
    await this.#pubsub;
  }

  async #hand(pubsub: PubSub): Promise<void> {
    for await (const { payload, gap } of pubsub) {
      for (const socket of this.#sockets) {
        if (gap !== undefined) socket.send(JSON.stringify({ gap }));
        socket.send(JSON.stringify({ payload }));
      }
    }
  }

  /** The last reader unsubscribes. */
  #leave(socket: WebSocket): void {
    this.#sockets.delete(socket);
    socket.close();
    if (this.#sockets.size > 0) return;
    const pubsub = this.#pubsub;
    this.#pubsub = undefined;
    this.ctx.waitUntil(Promise.resolve(pubsub?.then((it) => it.close())).catch(() => {}));
  }

  /** The stream has failed for good: whoever comes next tries anew. */
  #end(): void {
    this.#pubsub = undefined;
    for (const socket of this.#sockets) socket.close(1011, "The subscription has failed");
    this.#sockets.clear();
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (request.headers.get("upgrade") !== "websocket") return new Response("Expected a WebSocket", { status: 426 });
    return await env.FanOut.getByName(new URL(request.url).pathname).fetch(request);
  },
};
