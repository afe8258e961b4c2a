/** What many readers ask for at once is made once. */
import type { ServerResponse } from "node:http";

/** What `make` makes of a key, the same for all as long as it is on its way to one of them. */
export function shared<T>(
  make: (key: string) => Promise<T>,
): (key: string, response: ServerResponse) => Promise<T> {
  const underWay = new Map<string, { readonly made: Promise<T>; users: number }>();
  return (key, response) => {
    if (response.destroyed) return make(key); // it would never let go
    const one = underWay.get(key) ?? { made: make(key), users: 0 };
    underWay.set(key, one);
    one.users++;
    response.once("close", () => {
      one.users--;
      if (one.users === 0) underWay.delete(key);
    });
    return one.made;
  };
}
