/** Who is measured beside Tidings: how each is started, and where its readers enter. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, compile, folder, found, type LoadOptions } from "./processes.ts";

export interface Peer {
  readonly id: string;
  readonly name: string;
  /** Why it cannot be measured here. */
  readonly missing?: string | false;
  readonly start: Command;
  readonly readersAt: (channel: string) => string;
  readonly load?: Pick<LoadOptions, "socketio" | "deflate">;
}

const readersAt = (channel: string) => `/ws/channel/${channel}/`;
/** As the client of Tidings asks, which knows cursors. */
const withCursor = (channel: string) => `/ws/channel/${channel}/?cursor=`;

const server = (name: string) => fileURLToPath(new URL(`servers/${name}.ts`, import.meta.url));
const onNode =
  (name: string, env: Readonly<Record<string, string>> = {}): Command =>
  () => ({ command: [process.execPath, server(name)], env });
const BUN = fileURLToPath(new URL("../node_modules/bun/bin/bun.exe", import.meta.url));
const onBun =
  (name: string): Command =>
  () => ({ command: [BUN, server(name)] });
const noBun = !existsSync(BUN) && "Bun is not installed";

const NCHAN = [
  "/usr/lib/nginx/modules/ngx_nchan_module.so",
  "/usr/share/nginx/modules/ngx_nchan_module.so",
].find(existsSync);

const NGINX = found("nginx");

/** In the order of the turns. */
export const PEERS: readonly Peer[] = [
  { id: "ws", name: "`ws`, a loop", start: onNode("ws-loop"), readersAt },
  { id: "ws-text", name: "`ws`, a loop, of strings", start: onNode("ws-loop", { TEXT: "1" }), readersAt },
  { id: "tidings", name: "**Tidings** on Node", start: onNode("tidings"), readersAt: withCursor },
  { id: "node-floor", name: "Node, framed once and joined", start: onNode("node-floor"), readersAt },
  {
    id: "floor",
    name: "C, joined writes",
    start: () => ({ command: [compile("floor")] }),
    readersAt,
  },
  {
    id: "floor-rest",
    name: "C, joined as Tidings joins",
    start: () => ({ command: [compile("floor")], env: { REST: "1" } }),
    readersAt,
  },
  { id: "bun", name: "Bun, its publish", missing: noBun, start: onBun("bun"), readersAt },
  {
    id: "tidings-bun",
    name: "**Tidings** on Bun",
    missing: noBun,
    start: onBun("tidings-on-bun"),
    readersAt: withCursor,
  },
  {
    id: "nchan",
    name: "Nchan (nginx)",
    missing: !(NCHAN && NGINX) && "nginx with libnginx-mod-nchan is not installed",
    start: startNchan,
    readersAt,
  },
  { id: "fastify", name: "@fastify/websocket", start: onNode("fastify"), readersAt },
  { id: "crossws", name: "crossws", start: onNode("crossws"), readersAt },
  {
    id: "socketio",
    name: "Socket.IO",
    start: onNode("socketio"),
    readersAt: (channel) => `/socket.io/?EIO=4&transport=websocket&channel=${channel}`,
    load: { socketio: true },
  },
];

function startNchan(port: number): ReturnType<Command> {
  const at = join(folder, `nginx-${port}`);
  mkdirSync(at, { recursive: true });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  writeFileSync(
    join(at, "nginx.conf"),
    `daemon off; worker_processes 1; worker_rlimit_nofile 60000; pid ${at}/pid;
    ${process.getuid?.() === 0 ? "user root;" : ""}
    load_module ${NCHAN};
    events { worker_connections 15000; multi_accept on; }
    http {
      access_log off; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600; client_body_buffer_size 64k;
      ${temporary.map((name) => `${name}_temp_path ${at}/${name};`).join(" ")}
      server {
        listen 127.0.0.1:${port} backlog=4096;
        location ~ ^/ws/channel/([^/]+)/$ {
          nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest;
          nchan_message_buffer_length 16; nchan_websocket_ping_interval 0;
        }
        location ~ ^/publish/([^/]+)$ {
          nchan_publisher http; nchan_channel_id $1; nchan_message_buffer_length 16; nchan_message_timeout 60s;
        }
      }
    }`,
  );
  return { command: [NGINX!, "-e", join(at, "error.log"), "-p", at, "-c", join(at, "nginx.conf")] };
}
