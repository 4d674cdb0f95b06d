/** Earshot, every default on. The stream is not left: that would unsubscribe and close first, as none of the others does. */

import { Client } from "../../mod.ts";
import type { FirstMessage } from "./start.ts";

export const firstMessage: FirstMessage = async (port, channel) => {
  const pubsub = await new Client({ host: "127.0.0.1", port }).subscribe(channel);
  const first = await pubsub[Symbol.asyncIterator]().next();
  if (first.done) throw new Error("The stream ended before its first message");
  return first.value.payload;
};
