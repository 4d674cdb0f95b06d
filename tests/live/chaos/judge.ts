/**
 * The invariant: **delivered + told as lost = published, in order, no duplicate.**
 *
 * 1. Messages come in the order in which they were published, none twice, and none that was not asked for.
 * 2. Every message that is missing is told of, on the message right behind the hole: as dropped by the queue, counted
 *    exactly; or as lost with a connection, within the time that the gap says.
 * 3. No gap is told where nothing can be missing: each has a lost connection in its time, begins after what was heard
 *    before, ends before it is told, and there are at most two for each loss.
 * 4. Events tell the same at once: a gap as soon as all is well again, every dropped message by the time its gap is
 *    told, the end of a silent connection within its limit.
 *
 * Pure: it looks at what is left of a round.
 *
 * @module
 */

import type { ClientEvent, Gap } from "@earshot/redis";
import type { Evidence, Hold, Published, StreamEvidence, Taken } from "./evidence.ts";

/** What a judge found. */
export interface Verdict {
  /** Empty: the invariant holds. */
  readonly violations: string[];
  readonly delivered: number;
  /** What queues dropped and told. */
  readonly dropped: number;
  /** What lost connections cost, told too. */
  readonly lost: number;
  /** How many gaps were told in place. */
  readonly gaps: number;
}

interface Window {
  readonly from: number;
  readonly to: number;
}

/** Messages that were published to one name, and where those of them stand that were taken. */
interface Line {
  readonly key: Pick<Taken, "kind" | "name">;
  readonly asked: readonly Published[];
  readonly own: readonly number[];
}

/** What clocks and rounding may differ by, in milliseconds. */
const CLOCKS_MS = 20;
/** How much later than it should a gap may begin where the socket was not read, in milliseconds. */
const BUSY_MS = 500;

/** Judges one round. */
export function judge(evidence: Evidence): Verdict {
  const violations: string[] = [];
  const windows = evidence.events.flatMap((event) => event.type === "gap" ? [windowOf(event.gap)] : []);
  const tally = { delivered: 0, dropped: 0, lost: 0, gaps: 0 };
  for (const stream of evidence.streams) {
    const judged = new StreamJudge(stream, evidence, windows);
    violations.push(...judged.violations.map((what) => `${stream.label} (${stream.overflow}): ${what}`));
    for (const key of Object.keys(tally) as (keyof typeof tally)[]) tally[key] += judged[key];
  }
  violations.push(...judgeEvents(evidence, tally.dropped));
  const { stats } = evidence;
  if (stats.delivered !== tally.delivered) {
    violations.push(`stats() says ${stats.delivered} delivered, and ${tally.delivered} were`);
  }
  return { violations, ...tally };
}

class StreamJudge {
  readonly violations: string[] = [];
  dropped = 0;
  lost = 0;
  gaps = 0;
  #stream: StreamEvidence;
  #evidence: Evidence;
  #windows: readonly Window[];
  /** Does a message take the place of an older one of its channel? Then each channel has an order of its own. */
  #isLatest: boolean;
  #places: readonly number[];
  #byNumber: ReadonlyMap<number, Published>;

  constructor(stream: StreamEvidence, evidence: Evidence, windows: readonly Window[]) {
    this.#stream = stream;
    this.#evidence = evidence;
    this.#windows = windows;
    this.#isLatest = stream.overflow === "latest";
    this.#places = stream.taken.map(placeOf);
    this.#byNumber = new Map(evidence.published.map((message) => [message.number, message]));
    this.#order();
    this.#holes();
    stream.taken.forEach((taken, index) => this.#gap(taken, index));
    const reconnects = stream.taken.filter(({ gap }) => gap !== undefined && isOfConnection(gap)).length;
    const losses = evidence.events.filter((event) => event.type === "disconnected" || isMove(event)).length;
    if (reconnects > 2 * losses) this.#say(`${reconnects} gaps told for ${losses} lost connections`);
  }

  get delivered(): number {
    return this.#stream.taken.length;
  }

  #say(what: string): void {
    this.violations.push(what);
  }

  /** In order, none twice, none that was not asked for. */
  #order(): void {
    const lasts = new Map<string, number>();
    for (const taken of this.#stream.taken) {
      const place = placeOf(taken);
      const { number, name } = taken;
      const line = this.#isLatest ? `${taken.kind} ${name} ${taken.channel}` : "all";
      const last = lasts.get(line) ?? -1;
      if (place === last) this.#say(`${number} of ${show(name)} came twice`);
      if (place < last) this.#say(`${number} of ${show(name)} came after ${last >> 1}`);
      lasts.set(line, Math.max(last, place));
      const message = this.#byNumber.get(number);
      if (message === undefined || !matches(taken, message)) {
        this.#say(`${number} of ${show(name)} was never published there`);
      } else if (!this.#holdsOf(taken).some((hold) => mayCome(hold, message, this.#evidence))) {
        this.#say(`${number} of ${show(name)} was not asked for`);
      }
    }
  }

  /** Every message that is missing is told of. */
  #holes(): void {
    const { taken } = this.#stream;
    /** For each message taken: how many are missing before it that its queue must have dropped, or may have. */
    const counts = { must: new Uint32Array(taken.length + 1), may: new Uint32Array(taken.length + 1) };
    for (const key of distinct(this.#stream.holds)) {
      const asked = this.#evidence.published.filter((message) => matches(key, message));
      const own = taken.flatMap(({ kind, name }, index) => kind === key.kind && name === key.name ? [index] : []);
      if (this.#isLatest) {
        for (const channel of new Set(asked.map((message) => message.channel))) {
          const line = asked.filter((message) => message.channel === channel);
          this.#line({ key, asked: line, own: own.filter((index) => taken[index]!.channel === channel) }, counts);
        }
      } else this.#line({ key, asked, own }, counts);
    }
    this.dropped = taken.reduce((sum, { gap }) => sum + (gap?.dropped ?? 0), 0);
    if (this.#isLatest) {
      // What a full queue has dropped is told before whatever is oldest.
      const total = (counts: Uint32Array) => counts.reduce((sum, count) => sum + count, 0);
      return this.#count("in all", this.dropped, total(counts.must), total(counts.may));
    }
    taken.forEach(({ gap, number }, index) =>
      this.#count(`before ${number}`, gap?.dropped ?? 0, counts.must[index]!, counts.may[index]!)
    );
  }

  #line({ key, asked, own }: Line, counts: { readonly must: Uint32Array; readonly may: Uint32Array }): void {
    const { taken } = this.#stream;
    const holds = this.#holdsOf(key);
    const have = new Set(own.map((index) => taken[index]!.number));
    for (const message of asked) {
      if (have.has(message.number)) continue;
      if (!holds.some((hold) => mayCome(hold, message, this.#evidence))) continue;
      const behind = this.#isLatest
        ? own.find((index) => taken[index]!.number > message.number) ?? taken.length
        : firstAfter(this.#places, placeOf({ kind: key.kind, number: message.number }));
      const isDue = holds.some((hold) => this.#isDue(hold, message, behind, own));
      const next = own.find((index) => index >= behind) ?? taken.length - 1;
      // What comes first after a loss tells it, and with "latest" that may overtake others.
      const first = this.#isLatest ? 0 : (own.findLast((index) => index < behind) ?? -1) + 1;
      const isLost = isDue && this.#lostWithConnection(message, first, next);
      if (isLost) this.lost++;
      counts[isDue && !isLost ? "must" : "may"][behind]!++;
      if (isDue && !isLost && behind === taken.length) {
        this.#say(`${message.number} of ${show(key.name)} is missing at the end`);
      }
    }
  }

  #count(where: string, told: number, must: number, may: number): void {
    if (told < must) this.#say(`${must} missing ${where}, and ${told} told as dropped`);
    // Those of them that were dropped were not lost with a connection.
    if (told > must + may) this.#say(`${told} told as dropped ${where}, and at most ${must + may} were`);
  }

  /** Is the message due to this stream: published while the name was held, and before the stream was left? */
  #isDue(hold: Hold, message: Published, behind: number, own: readonly number[]): boolean {
    if (!message.certain || hold.held === undefined || message.sent <= hold.held) return false;
    const { taken, ended } = this.#stream;
    if (ended === "cut short" && behind === taken.length) return false;
    if (hold.until === undefined) return true;
    if (message.done > hold.until) return false;
    // It came before the name was let go of, as one behind it did.
    const later = this.#isLatest ? own.filter((index) => index >= behind) : [...taken.keys()].slice(behind);
    return later.some((index) => taken[index]!.at < hold.until!);
  }

  /** Does a gap told in this range of messages say that the connection was lost when this one was published? */
  #lostWithConnection(message: Published, first: number, last: number): boolean {
    const { unreadMs } = this.#evidence;
    // Only a busy machine makes it look as if nothing had waited.
    const slackMs = this.#evidence.slackMs + Math.min(unreadMs, BUSY_MS);
    for (let index = first; index <= last; index++) {
      const { gap, at } = this.#stream.taken[index]!;
      if (gap === undefined || !isOfConnection(gap)) continue;
      const within = this.#windowsOf(gap, at);
      if (within.some(({ from, to }) => message.done >= from - slackMs && message.sent <= to + CLOCKS_MS)) return true;
    }
    return false;
  }

  /** Nothing is told that cannot be. */
  #gap({ gap, number, at }: Taken, index: number): void {
    if (gap === undefined) return;
    this.gaps++;
    if ((gap.dropped > 0) !== gap.reasons.includes("overflow")) this.#say(`before ${number}: ${tell(gap)}`);
    // A connection that was left for another one has not been lost.
    if (!isOfConnection(gap) || gap.reasons.includes("migration")) return;
    const since = gap.since.getTime();
    const disconnected = this.#evidence.events.find((event) =>
      event.type === "disconnected" && event.at >= since - CLOCKS_MS
    )?.at;
    if (disconnected === undefined || disconnected > at) {
      this.#say(`a lost connection told before ${number}, and there was none: ${tell(gap)}`);
      return;
    }
    this.#narrow(gap, { number, at, index, disconnected });
    if (since + gap.downMs > at + CLOCKS_MS) this.#say(`the gap before ${number} ends after it came: ${tell(gap)}`);
  }

  /** It begins after what was heard before the loss, and is no longer than the losses that it means. */
  #narrow(gap: Gap, told: { number: number; at: number; index: number; disconnected: number }): void {
    const since = gap.since.getTime();
    const { slackMs, unreadMs } = this.#evidence;
    // What was dropped first may be older than any loss; and who does not read cannot know what it has heard.
    const isLoose = gap.reasons.includes("overflow") || unreadMs > 0;
    const before = isLoose ? [] : this.#stream.taken.slice(0, told.index);
    for (const { number, at } of before) {
      const afterMs = (this.#byNumber.get(number)?.sent ?? 0) - since;
      if (at >= told.disconnected - CLOCKS_MS || afterMs <= CLOCKS_MS + slackMs) continue;
      return this.#say(`${number} was heard ${afterMs} ms after the gap before ${told.number} begins`);
    }
    const mostMs = unionMs(this.#windowsOf(gap, told.at));
    if (gap.downMs > mostMs + CLOCKS_MS) this.#say(`${tell(gap)} told before ${told.number}, at most ${mostMs} ms`);
  }

  /** The losses that a gap means which is told at this moment: it may begin later than others do, and be one of many. */
  #windowsOf(gap: Gap, at: number): Window[] {
    const since = gap.since.getTime();
    return this.#windows.filter(({ from, to }) => to >= since - CLOCKS_MS && from <= at)
      .map(({ from, to }) => ({ from: Math.max(from, since), to }));
  }

  #holdsOf({ kind, name }: Pick<Taken, "kind" | "name">): Hold[] {
    return this.#stream.holds.filter((hold) => hold.kind === kind && hold.name === name);
  }
}

/** What is told at once. */
function judgeEvents({ events, kept, stats, freezes, slackMs }: Evidence, dropped: number): string[] {
  const violations: string[] = [];
  let standing: "no" | "yes" | "lost" = "no";
  events.forEach((event, index) => {
    if (event.type === "subscribed" && event.name === kept && standing === "no") standing = "yes";
    if (event.type === "disconnected" && standing === "yes") standing = "lost";
    if (event.type !== "ready" || standing !== "lost") return;
    standing = "yes";
    const next = events[index + 1];
    if (next?.type !== "gap") violations.push(`ready after a loss, and no gap is told at once but ${next?.type}`);
  });
  const told = events.reduce((sum, event) => event.type === "overflow" ? sum + event.dropped : sum, 0);
  if (told < dropped || told > stats.dropped) {
    violations.push(`events tell of ${told} dropped, gaps of ${dropped}, stats() of ${stats.dropped}`);
  }
  for (const { at, withinMs } of freezes) {
    const noticed = events.find((event: ClientEvent) => event.type === "disconnected" && event.at >= at - CLOCKS_MS);
    const tookMs = (noticed?.at ?? Infinity) - at;
    if (tookMs > withinMs + slackMs) {
      violations.push(`a frozen connection was noticed after ${tookMs} ms, not ${withinMs}`);
    }
  }
  return violations;
}

/** Redis sends a message to the channel first, and then to the patterns that match. */
function placeOf({ kind, number }: Pick<Taken, "kind" | "number">): number {
  return 2 * number + (kind === "pattern" ? 1 : 0);
}

function matches({ kind, name }: Pick<Taken, "kind" | "name">, { verb, channel }: Published): boolean {
  if ((kind === "shard") !== (verb === "SPUBLISH")) return false;
  return kind === "pattern" ? channel.startsWith(name.slice(0, -1)) : channel === name;
}

/** What is on its way when a stream joins others in a name is for it, too. */
function mayCome(
  { asked, until = Infinity }: Hold,
  { sent, done }: Published,
  { slackMs, unreadMs }: Evidence,
): boolean {
  return sent <= until && done >= asked - slackMs - unreadMs;
}

function isOfConnection({ reasons }: Gap): boolean {
  return reasons.some((reason) => reason !== "overflow");
}

function isMove(event: ClientEvent): boolean {
  return event.type === "gap" && event.gap.reasons.includes("migration");
}

function windowOf({ since, downMs }: Gap): Window {
  return { from: since.getTime(), to: since.getTime() + downMs };
}

/** How much time these take together. */
function unionMs(windows: readonly Window[]): number {
  let [sum, end] = [0, -Infinity];
  for (const { from, to } of windows.toSorted((a, b) => a.from - b.from)) {
    if (to > end) sum += to - Math.max(from, end);
    end = Math.max(end, to);
  }
  return sum;
}

/** The index of the first place after this one. */
function firstAfter(places: readonly number[], place: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle]! > place) high = middle;
    else low = middle + 1;
  }
  return low;
}

function distinct(holds: readonly Hold[]): Hold[] {
  return [...new Map(holds.map((hold) => [`${hold.kind} ${hold.name}`, hold])).values()];
}

function tell(gap: Gap | undefined): string {
  if (gap === undefined) return "nothing";
  return `${gap.reasons.join("+")}, since ${gap.since.getTime()}, ${gap.downMs} ms, ${gap.dropped} dropped`;
}

function show(name: string): string {
  return JSON.stringify(name);
}
