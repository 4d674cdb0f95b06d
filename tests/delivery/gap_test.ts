import { assertEquals } from "@std/assert";
import { lossGap } from "../../src/delivery/gap.ts";
import { test } from "../support/test.ts";
import { EPOCH, FakeClock } from "./fake_owner.ts";

test("lossGap reckons back from now, in whole milliseconds", () => {
  const clock = new FakeClock();
  clock.ms = 8_000;
  assertEquals(lossGap(clock, 1_234.4, ["reconnect"]), {
    reasons: ["reconnect"],
    since: new Date(EPOCH + 8_000 - 1_234.4),
    downMs: 1_234,
    dropped: 0,
  });
});
