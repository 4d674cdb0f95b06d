/**
 * The commands of one connection: what is to be sent, and what was sent and is not answered, oldest first.
 *
 * A few names have a command each, so that a refusal is blamed on its very name at once. Of many, a command carries some
 * hundred: Redis takes half as long for them.
 *
 * @module
 */

import type { Kind } from "../message.ts";
import { nameArgument } from "../name.ts";
import { type Argument, CommandBuffer } from "../resp/writer.ts";
import { Ring } from "../ring.ts";
import { KINDS } from "./kind.ts";
import type { Place } from "./subscriptions.ts";

/** So many names have a command each, also the first of those asked for one by one; a command of more carries at most so many. */
const FEW_NAMES = 16;
const MOST_NAMES = 512;
/** About so many bytes are sent at a time: while a server answers them, the next are written. */
const PART_BYTES = 64 * 1024;

/** A command whose answer is due. */
export type DueCommand =
  | SubscriptionCommand
  | {
    readonly type: "unsubscribe-and-ping";
    readonly verb: string;
    readonly kind: Kind;
    readonly name: string;
  }
  | { readonly type: "command"; readonly verb: string; readonly ticket: number }
  | { readonly type: "ping" | "quit"; readonly verb: string };

/** A command that is answered name by name. */
export interface SubscriptionCommand {
  readonly type: "subscribe" | "unsubscribe";
  readonly verb: string;
  readonly kind: Kind;
  readonly places: Place[];
  /** How many of them, from the first, are answered. */
  next: number;
  /** How they stand in it, where they are {@linkcode MOST_NAMES}, all are due, and all are ASCII. */
  text: string | undefined;
}

/** One that is of no names, and stands behind some that are not written. */
interface OtherCommand {
  readonly type: "other";
  readonly command: readonly Argument[] | Uint8Array;
}

/** What is to be sent, and what is due. */
export class Outbox {
  #bytes = new CommandBuffer();
  #due = new Ring<DueCommand>();
  /** The newest commands, which are not written yet; and how many had a name since the last {@linkcode take}. */
  #unwritten: (SubscriptionCommand | OtherCommand)[] = [];
  #named = 0;

  /** The oldest command that is due; undefined where nothing is. */
  get first(): DueCommand | undefined {
    return this.#due.at(0);
  }

  /** Is anything to be sent? */
  get isEmpty(): boolean {
    return this.#bytes.length === 0 && this.#unwritten.length === 0;
  }

  /** What is to be sent next, of many names a part, so that the server begins; undefined when there is nothing. */
  take(): Uint8Array | undefined {
    this.#write(PART_BYTES);
    this.#named = 0;
    return this.#bytes.take();
  }

  /** Sends a command, encoded or not, whose answer is due from then on; without `due` it is nobody's concern here. */
  send(command: readonly Argument[] | Uint8Array, due?: DueCommand): void {
    // Nothing that is due already waits for the rest of many names.
    if (this.#unwritten.length > 0) this.#unwritten.push({ type: "other", command });
    else this.#add(command);
    if (due !== undefined) this.#due.push(due);
  }

  /** Subscribes to a name, or unsubscribes. */
  ask(type: SubscriptionCommand["type"], kind: Kind, place: Place): void {
    const last = this.#unwritten.at(-1);
    if (last !== undefined && isOpen(last, type, kind)) {
      last.places.push(place);
      return;
    }
    // Shard channels of one command would have to belong to one slot.
    if (++this.#named <= FEW_NAMES || KINDS[kind].revocable) return this.askAlone(type, kind, place);
    this.#push(commandOf(type, kind, [place]));
  }

  /** The same for names in a row. */
  askAll(type: SubscriptionCommand["type"], kind: Kind, places: readonly Place[]): void {
    const areFew = this.#named + places.length <= FEW_NAMES;
    let at = 0;
    while (at < places.length) {
      const last = this.#unwritten.at(-1);
      const joins = last !== undefined && isOpen(last, type, kind);
      if (joins || areFew || KINDS[kind].revocable) this.ask(type, kind, places[at++]!);
      else this.#push(commandOf(type, kind, places.slice(at, at += MOST_NAMES)));
    }
  }

  /** The same by a command of its own. */
  askAlone(type: SubscriptionCommand["type"], kind: Kind, place: Place): void {
    const command = commandOf(type, kind, [place]);
    this.send([command.verb, nameArgument(place.name)], command);
  }

  /** The oldest command is answered. */
  shift(): void {
    this.#due.shift();
  }

  /** The oldest command, which is answered name by name, is answered up to its name at `next`. */
  pass(command: SubscriptionCommand, next: number): void {
    command.next = next;
    command.text = undefined;
    if (next === command.places.length) this.#due.shift();
  }

  /** The acknowledgement of a name came: one that is due for it is no longer; false where there is none. */
  settle(type: SubscriptionCommand["type"], kind: Kind, name: string): boolean {
    for (let i = 0; i < this.#due.size; i++) {
      const command = this.#due.at(i)!;
      if (command.type !== type || command.kind !== kind) continue;
      const { places, next } = command;
      // Nearly always they come in the order in which they were asked for.
      const at = places[next]!.name === name ? next : places.findIndex((place, i) => i > next && place.name === name);
      if (at < 0) continue;
      if (at === next) command.next++;
      else places.splice(at, 1);
      command.text = undefined;
      if (command.next === places.length) this.#due.removeAt(i);
      return true;
    }
    return false;
  }

  /** Writes what is not written, or about so many bytes of it. */
  #write(most = Infinity): void {
    let count = 0;
    for (; count < this.#unwritten.length && this.#bytes.length < most; count++) {
      const next = this.#unwritten[count]!;
      if (next.type === "other") this.#add(next.command);
      else {
        const text = this.#bytes.addNames(next.verb, next.places, this.#unwritten.length - count);
        if (text === undefined) this.#bytes.add([next.verb, ...next.places.map(({ name }) => nameArgument(name))]);
        else if (next.places.length === MOST_NAMES) next.text = text;
      }
    }
    if (count > 0) this.#unwritten.splice(0, count);
  }

  #add(command: readonly Argument[] | Uint8Array): void {
    if (command instanceof Uint8Array) this.#bytes.append(command);
    else this.#bytes.add(command);
  }

  #push(command: SubscriptionCommand): void {
    this.#unwritten.push(command);
    this.#due.push(command);
  }
}

function commandOf(type: SubscriptionCommand["type"], kind: Kind, places: Place[]): SubscriptionCommand {
  return { type, verb: KINDS[kind][type], kind, places, next: 0, text: undefined };
}

/** May another name be added to this command? */
function isOpen(
  command: SubscriptionCommand | OtherCommand,
  type: SubscriptionCommand["type"],
  kind: Kind,
): command is SubscriptionCommand {
  return command.type === type && command.kind === kind && command.places.length < MOST_NAMES;
}
