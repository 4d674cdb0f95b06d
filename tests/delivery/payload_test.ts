import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import fc from "fast-check";
import { bytes, type Codec, json, text } from "../../src/codec.ts";
import { decodeMessage } from "../../src/delivery/payload.ts";
import { DecodeError } from "../../src/errors.ts";
import { message, runOf } from "../support/run.ts";
import { test } from "../support/test.ts";

const encoder = new TextEncoder();

/** What a codec gives for each of these payloads when they come in one run. */
function inOneRun<T>(codec: Codec<T>, payloads: readonly Uint8Array[]): (T | string)[] {
  const run = runOf(payloads.map((payload) => message("a", payload)));
  return payloads.map((_, i) => {
    const decoded = decodeMessage(codec, run, i);
    return decoded instanceof DecodeError ? String(decoded.cause) : decoded.payload;
  });
}

/** What it gives for each alone. */
function alone<T>(codec: Codec<T>, payloads: readonly Uint8Array[]): (T | string)[] {
  return payloads.map((payload) => {
    try {
      return codec.decode(payload);
    } catch (error) {
      return String(error);
    }
  });
}

const anyText = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.json());
const anyPayload = fc.oneof(
  { weight: 6, arbitrary: anyText.map((text) => encoder.encode(text)) },
  fc.json().map((text) => encoder.encode(`\ufeff${text}`)),
  fc.json().map((text) => encoder.encode(JSON.stringify(`\ufffd${text}`))),
  fc.uint8Array({ maxLength: 12 }),
);

test("a codec gives the same for a payload among others as for the same payload alone", () => {
  fc.assert(fc.property(fc.array(anyPayload, { minLength: 1, maxLength: 12 }), (payloads) => {
    for (const codec of [text, json, bytes, { decode: (payload: Uint8Array) => [...payload] }]) {
      assertEquals(inOneRun<unknown>(codec, payloads), alone<unknown>(codec, payloads));
    }
  }));
});

test("a byte that is not UTF-8 makes JSON invalid, though it would read as U+FFFD", () => {
  const [payload] = inOneRun(json, [Uint8Array.of(0x22, 0xff, 0x22), encoder.encode("1")]);
  assertEquals(payload, "SyntaxError: The payload is not JSON");
});

test("a codec that fails tells the channel, and keeps what it said as the cause", () => {
  const run = runOf([message("a", "x", "*")]);
  const cause = new Error("no");
  const decoded = decodeMessage(
    {
      decode: () => {
        throw cause;
      },
    },
    run,
    0,
  );
  assertInstanceOf(decoded, DecodeError);
  assertEquals([decoded.channel, decoded.cause], ["a", cause]);
});

test("the bytes that a codec is given are its own", () => {
  const payloads = ["one", "two"].map((text) => encoder.encode(text));
  const [first, second] = inOneRun(bytes, payloads);
  assert(first instanceof Uint8Array && second instanceof Uint8Array);
  first.fill(0);
  assertEquals(second, payloads[1]);
  assert(first.buffer !== payloads[0]!.buffer);
});
