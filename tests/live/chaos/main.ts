/** `deno task chaos`: runs until it has failed, or as long as `CHAOS_ROUNDS` or `CHAOS_SECONDS` say. */

import { chaosSettings, describe, runChaos } from "./run.ts";

const { seed, rounds, seconds } = chaosSettings();
console.log(`CHAOS_SEED=${seed}`);
let told = 0;
const report = await runChaos({
  seed,
  ...rounds === undefined ? {} : { rounds },
  ...seconds === undefined ? {} : { seconds },
  onProgress(report) {
    if (report.seconds - told < 60) return;
    told = report.seconds;
    console.log(describe(report));
  },
});
console.log(describe(report));
for (const failure of report.failures) console.error(failure);
Deno.exit(report.failures.length === 0 ? 0 : 1);
