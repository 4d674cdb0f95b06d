/** Earshot, every default on. */

import { Client } from "../../mod.ts";
import type { FirstMessage } from "./start.ts";

export const firstMessage: FirstMessage = async (port, channel) => {
  for await (const { payload } of await new Client({ host: "127.0.0.1", port }).subscribe(channel)) return payload;
  throw new Error("The stream ended before its first message");
};
