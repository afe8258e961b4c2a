/** A site of somebody else's: an origin of its own, with the pages and scripts that a test gives it. */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface OwnSite {
  readonly url: string;
  readonly server: Server;
  /** By path; a function writes the answer itself. */
  readonly files: Map<string, string | ((response: ServerResponse) => void)>;
  close(): Promise<void>;
}

export async function startOwnSite(): Promise<OwnSite> {
  const files: OwnSite["files"] = new Map([["/favicon.ico", ""]]);
  const server = createServer((request, response) => {
    const path = request.url!.split("?")[0]!;
    const file = files.get(path);
    response.statusCode = file === undefined ? 404 : 200;
    const type = path.endsWith(".js") ? "text/javascript" : "text/html; charset=utf-8";
    response.setHeader("Content-Type", type);
    if (typeof file === "function") file(response);
    else response.end(file ?? "");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    files,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
