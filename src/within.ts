/** What the promise comes to, or `undefined` when that takes longer or nobody waits for it any more. */
export function within<T>(ms: number, promise: PromiseLike<T>, signal?: AbortSignal): Promise<T | undefined> {
  return new Promise<T | undefined>((resolve, reject) => {
    const giveUp = () => settle(() => resolve(undefined));
    const timer = setTimeout(giveUp, ms);
    signal?.addEventListener("abort", giveUp);
    function settle(how: () => void) {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      how();
    }
    promise.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
  });
}
