import { dial, dialOnBun } from "../../src/transport/node.ts";
import { REASONS } from "../../src/transport/transport.ts";
import { dialContract } from "./dial_contract.ts";
import { socketLeaf } from "./socket_leaf.ts";
import { transportContract } from "./transport_contract.ts";

const leaves = "Bun" in globalThis ? { "node leaf": dial, "node leaf on Bun": dialOnBun } : { "node leaf": dial };

for (const [name, dial] of Object.entries(leaves)) {
  for (const form of ["tcp", "tls", "unix", "tls over unix"] as const) {
    const lends = dial !== dialOnBun && !form.startsWith("tls");
    transportContract(socketLeaf(name, { dial, form, brings: dial === dialOnBun ? "chunks" : undefined, lends }));
  }

  dialContract({
    name,
    dial,
    forms: ["tcp", "tls", "unix", "tls over unix"],
    // The `node:tls` of Deno 2.9 tells every failed check of the chain in the same way.
    ...("Deno" in globalThis ? { expired: REASONS.untrusted } : {}),
  });
}
