/**
 * Runs rounds of chaos on a real Redis, see `tests/live/chaos`: for `CHAOS_SECONDS`, or `CHAOS_ROUNDS`, or until one
 * fails; `CHAOS_SEED` repeats them.
 *
 * @module
 */

import { importMapArgs, ROOT } from "./deno.ts";
import { prepareRedis } from "./redis.ts";

const { ok, output } = await prepareRedis();
console.log(output.trimEnd());
if (!ok) Deno.exit(1);
const args = ["run", "-A", "--no-check", ...await importMapArgs(), "tests/live/chaos/main.ts"];
const { code } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn().status;
Deno.exit(code);
