/** The recipe of `examples/log.ts`, on a real server. */
import { assert, assertEquals } from "@std/assert";
import { append, follow } from "../../examples/log.ts";
import { FaultyProxy } from "../support/faulty_proxy.ts";
import { fresh, ownGround, RESP2, RESP3 } from "../support/ground.ts";

const COUNT = 400;

ownGround(
  "Pub/Sub joined with a Redis stream gives every entry once and in order, whatever is lost",
  async (ground) => {
    await using proxy = await FaultyProxy.open(ground.server.port);
    const reconnect = { initialDelayMs: 10, maxDelayMs: 50 };
    const follower = ground.client({ port: proxy.port, reconnect });
    const writer = ground.client();
    const key = fresh("log");
    for (let i = 0; i < 10; i++) await append(writer, key, `before ${i}`);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { data } of follow(follower, key)) {
        seen.push(data);
        // Too slow for what comes, now and then.
        if (seen.length % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 50));
        if (data === "last") break;
      }
    })();
    for (let i = 0; i < COUNT; i++) {
      await append(writer, key, String(i));
      if (i % 100 === 50) proxy.cut();
      if (i % 25 === 0) await new Promise((resolve) => setTimeout(resolve, 15));
    }
    await append(writer, key, "last");
    await reading;
    const numbers = Array.from({ length: COUNT }, (_, i) => String(i));
    assertEquals(seen, [...Array.from({ length: 10 }, (_, i) => `before ${i}`), ...numbers, "last"]);
    assert(ground.count("gap") > 0, "no connection was lost");
    assertEquals(ground.unhandled, []);
  },
  [RESP3, RESP2],
);
