/**
 * From the bytes of a run to the messages that consumers get.
 *
 * @module
 */

import { bytes, type Codec, json, parseJson, text } from "../codec.ts";
import { DecodeError } from "../errors.ts";
import { type Message, PlainMessage } from "../message.ts";
import type { Run } from "../run/run.ts";

/** Message `i` of a run as `codec` reads it, or why it cannot. */
export function decodeMessage<T>(codec: Codec<T>, run: Run, i: number): Message<T> | DecodeError {
  try {
    return messageOf(codec, run, i);
  } catch (cause) {
    const { channel } = run.topic(i);
    return new DecodeError(`Cannot decode a message on ${JSON.stringify(channel)}`, { channel, cause });
  }
}

/** Message `i` of a run as `codec` reads it. Throws what the codec throws. */
export function messageOf<T>(codec: Codec<T>, run: Run, i: number): Message<T> {
  const { kind, channel, pattern } = run.topic(i);
  return new PlainMessage(kind, channel, pattern, payloadOf(codec, run, i), undefined);
}

/** Does a codec read anything, and call nobody meanwhile? */
export function isPlain(codec: Codec<unknown>): boolean {
  return codec === text || codec === bytes;
}

/** The codecs of ours take what the run has decoded already, or look at its bytes where they are. */
function payloadOf<T>(codec: Codec<T>, run: Run, i: number): T {
  const own: Codec<unknown> = codec;
  if (own === text) return run.text(i) as T;
  if (own === json) return jsonOf(run, i) as T;
  return codec.decode(run.bytes(i));
}

function jsonOf(run: Run, i: number): unknown {
  const text = run.text(i);
  return UNSURE.test(text) ? json.decode(run.view(i)) : parseJson(text);
}

/** What a byte that is not UTF-8 becomes, and what may stand at the beginning: only the bytes themselves tell. */
const UNSURE = /[\ufeff\ufffd]/;
