/** What the servers on Bun use of it: its types are not installed, for nothing else runs there. */
import { LISTEN } from "./http.ts";

export interface BunSocket {
  readonly data: unknown;
  subscribe(channel: string): void;
}

export interface BunServer {
  publish(channel: string, text: string): void;
  upgrade(request: Request, options: { data: unknown }): boolean;
}

export function serveOnBun(options: object): BunServer {
  const { Bun } = globalThis as unknown as { Bun: { serve(options: object): BunServer } };
  return Bun.serve({ port: LISTEN.port, hostname: LISTEN.host, ...options });
}
