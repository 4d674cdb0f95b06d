import type { Hub } from "../../src/client/hub.ts";
import type { Delivery } from "../../src/delivery/delivery.ts";
import type { KindedName } from "../../src/supervisor/calls.ts";

/** A stream wants one name; false where it has it already. */
export function add<T>(hub: Hub, delivery: Delivery<T>, { kind, name }: KindedName): boolean {
  return hub.add(delivery as Delivery, kind, [name]).added.length > 0;
}
