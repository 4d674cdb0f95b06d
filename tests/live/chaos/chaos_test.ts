import { NOT_OURS } from "../../support/ground.ts";
import { testUnless } from "../../support/skip.ts";
import { chaosSettings, describe, runChaos } from "./run.ts";

/** How many, where `CHAOS_ROUNDS` and `CHAOS_SECONDS` say nothing else; where only the sockets differ, fewer. */
const ROUNDS = "Deno" in globalThis ? 200 : 48;

testUnless(NOT_OURS, "Whatever happens, delivered and told as lost add up to what was published", async () => {
  const { seed, rounds, seconds } = chaosSettings();
  const limit = seconds === undefined ? { rounds: rounds ?? ROUNDS } : { rounds: rounds ?? Infinity, seconds };
  const report = await runChaos({ seed, ...limit });
  console.log(describe(report));
  if (report.failures.length > 0) throw new Error(report.failures.join("\n"));
});
