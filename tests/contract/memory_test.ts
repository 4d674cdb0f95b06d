import { memoryPair } from "../../src/transport/memory.ts";
import { transportContract } from "./transport_contract.ts";

transportContract({
  name: "memory",
  pair() {
    const [near, far] = memoryPair();
    return Promise.resolve({
      near,
      far,
      [Symbol.asyncDispose]() {
        near.close();
        far.close();
        return Promise.resolve();
      },
    });
  },
});
