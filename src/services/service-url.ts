/**
 * Whether `text` is a URL of one of these schemes that a client can take apart: with a user and password that can be
 * decoded, and for Redis with nothing behind the host but the number of a database.
 *
 * @example
 * isServiceUrl("redis://:50%25@127.0.0.1:6379/1", ["redis", "rediss"]); // true; with ":50%@", or "/one": false
 */
export function isServiceUrl(text: string, schemes: readonly string[]): boolean {
  const url = URL.parse(text);
  if (!url || !schemes.includes(url.protocol.slice(0, -1))) return false;
  const isRedis = /^rediss?:$/.test(url.protocol);
  return isEncoded(url.username) && isEncoded(url.password) && !(isRedis && !/^(\/\d*)?$/.test(url.pathname));
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
