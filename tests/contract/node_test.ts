import { dial } from "../../src/transport/node.ts";
import { REASONS } from "../../src/transport/transport.ts";
import { dialContract } from "./dial_contract.ts";
import { socketLeaf } from "./socket_leaf.ts";
import { transportContract } from "./transport_contract.ts";

for (const form of ["tcp", "tls", "unix", "tls over unix"] as const) {
  transportContract(socketLeaf("node leaf", { dial, form }));
}

dialContract({
  name: "node leaf",
  dial,
  forms: ["tcp", "tls", "unix", "tls over unix"],
  // The `node:tls` of Deno 2.9 tells every failed check of the chain in the same way.
  ...("Deno" in globalThis ? { expired: REASONS.untrusted } : {}),
});
