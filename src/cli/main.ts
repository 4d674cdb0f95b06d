/**
 * The command line: `deno run -A jsr:@earshot/redis/cli`, `npx @earshot/redis`. Importing it runs it.
 *
 * @module
 */

import process from "node:process";
import { run } from "./run.ts";
import { terminal } from "./terminal.ts";

process.exitCode = await run(process.argv.slice(2), terminal());
