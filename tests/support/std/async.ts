/** A stand-in for `@std/async` where JSR cannot be reached: just what the tests use, over timers. */

export function delay(ms: number, options: { signal?: AbortSignal } = {}): Promise<void> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

export async function deadline<T>(promise: Promise<T>, ms: number): Promise<T> {
  const abort = new AbortController();
  const late = delay(ms, { signal: abort.signal }).then(
    () => Promise.reject(new DOMException("Signal timed out.", "TimeoutError")),
    () => promise,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}
