/**
 * A hosted WebSocket service of the tests' own, as strict as the real ones: it speaks Pusher's protocol and PieSocket's, over
 * real HTTP and real sockets. Written from their documentation; it shares no code with src/.
 */
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type WebSocket, WebSocketServer } from "ws";

export const APP = { id: "1234567", key: "278d425bdf160c739803", secret: "7ad3773142a6692b25b8" };

export interface HostedService {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  /** For `PUSHER_URL`. */
  readonly pusherUrl: string;
  /** What it took, in order. */
  readonly taken: { readonly channel: string; readonly message: string }[];
  /** Every request to publish, and when it came. */
  readonly asked: { readonly at: number; readonly path: string }[];
  /** What happens to the next requests, in place of an answer. */
  readonly mishaps: ((response: ServerResponse) => void)[];
  /** What happens to every request, after the mishaps. */
  mishap: ((response: ServerResponse) => void) | undefined;
  /** Messages that it takes, and does not send to readers. */
  lose: number;
  /** Readers on a channel. */
  readers(channel: string): WebSocket[];
  /** What readers have sent. */
  readonly heard: string[];
  /** Cuts all readers off. */
  cut(): void;
  close(): Promise<void>;
}

/** Answers with a status, in place of taking the message. */
export function answer(
  status: number,
  body = "no",
  headers: Record<string, string> = {},
): (response: ServerResponse) => void {
  return (response) => response.writeHead(status, headers).end(body);
}

export async function startHostedService(port = 0): Promise<HostedService> {
  const channels = new Map<string, Set<WebSocket>>();
  const service: HostedService = {
    host: "",
    pusherUrl: "",
    taken: [],
    asked: [],
    mishaps: [],
    mishap: undefined,
    lose: 0,
    heard: [],
    readers: (channel) => [...(channels.get(channel) ?? [])],
    cut() {
      for (const socket of sockets.clients) socket.terminate();
    },
    async close() {
      service.cut();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  const server = createServer(async (request, response) => {
    const body = await text(request);
    service.asked.push({ at: performance.now(), path: request.url!.split("?")[0]! });
    const mishap = service.mishaps.shift() ?? service.mishap;
    if (mishap) return mishap(response);
    const published = request.url === "/api/publish" ? piesocket(body) : pusher(request, body);
    response.setHeader("Content-Type", "application/json");
    if ("status" in published) {
      response.writeHead(published.status).end(published.why);
      return;
    }
    const { channel, message } = published;
    service.taken.push({ channel, message });
    if (service.lose > 0) service.lose--;
    else for (const socket of service.readers(channel)) socket.send(published.frame);
    response.end("{}");
  });

  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => {
    const url = new URL(request.url!, "http://service");
    const join = (channel: string) => {
      channels.set(channel, (channels.get(channel) ?? new Set()).add(socket));
      socket.on("close", () => channels.get(channel)?.delete(socket));
    };
    socket.on("message", (data) => service.heard.push(String(data)));
    const [, kind, name = ""] = url.pathname.split("/");
    if (kind === "v3") {
      if (url.searchParams.get("api_key") !== APP.key) return socket.close(4001);
      return join(name);
    }
    const say = (event: string, data: object, channel?: string) =>
      socket.send(JSON.stringify({ event, data: JSON.stringify(data), channel }));
    if (name !== APP.key || url.searchParams.get("protocol") !== "7") {
      say("pusher:error", { code: 4001, message: `App key ${name} not in this cluster.` });
      return socket.close(4001);
    }
    say("pusher:connection_established", { socket_id: "1.1", activity_timeout: 120 });
    socket.on("message", (data) => {
      const message = JSON.parse(String(data));
      if (message.event !== "pusher:subscribe") return;
      const { channel } = message.data;
      if (!isPusherChannel(channel)) return say("pusher:error", { code: null, message: "Invalid channel" });
      join(channel);
      say("pusher_internal:subscription_succeeded", {}, channel);
    });
  });

  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(service, {
    host,
    pusherUrl: `http://${APP.key}:${APP.secret}@${host}/apps/${APP.id}`,
  });
}

type Published = { channel: string; message: string; frame: string } | { status: number; why: string };

function isPusherChannel(name: unknown): name is string {
  return (
    typeof name === "string" &&
    /^[A-Za-z0-9_\-=@,.;]{1,164}$/.test(name) &&
    !/^(private|presence|cache)-/.test(name)
  );
}

function pusher(request: IncomingMessage, body: string): Published {
  const [path, query = ""] = request.url!.split("?");
  if (request.method !== "POST" || path !== `/apps/${APP.id}/events`)
    return { status: 404, why: "no such app" };
  const params = new URLSearchParams(query);
  const given = params.get("auth_signature") ?? "";
  params.delete("auth_signature");
  const sorted = [...params].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
  const signature = createHmac("sha256", APP.secret)
    .update(`POST\n${path}\n${sorted.join("&")}`)
    .digest("hex");
  const isFresh = Math.abs(Number(params.get("auth_timestamp")) - Date.now() / 1_000) < 600;
  const md5 = createHash("md5").update(body).digest("hex");
  if (params.get("auth_key") !== APP.key || params.get("auth_version") !== "1.0" || !isFresh)
    return { status: 401, why: "unknown auth_key, or an old timestamp" };
  if (params.get("body_md5") !== md5 || signature !== given)
    return {
      status: 401,
      why: `Invalid signature: you should have sent HmacSHA256Hex("POST…", ${APP.secret})`,
    };
  if (request.headers["content-type"] !== "application/json") return { status: 400, why: "not JSON" };
  const { name, channels, data } = JSON.parse(body);
  if (typeof data !== "string" || typeof name !== "string" || !/^[\w-]{1,200}$/.test(name))
    return { status: 400, why: "no name or no data" };
  if (!Array.isArray(channels) || channels.length !== 1 || !isPusherChannel(channels[0]))
    return { status: 400, why: "invalid channel" };
  if (Buffer.byteLength(data) > 10_240) return { status: 413, why: "data is over 10 kB" };
  const [channel] = channels;
  return { channel, message: data, frame: JSON.stringify({ event: name, channel, data }) };
}

function piesocket(body: string): Published {
  const { key, secret, roomId, message } = JSON.parse(body);
  if (key !== APP.key || secret !== APP.secret) return { status: 401, why: `wrong secret: ${secret}` };
  if (typeof roomId !== "string" || !/^[A-Za-z0-9_-]{1,30}$/.test(roomId))
    return { status: 422, why: "invalid roomId" };
  const text = JSON.stringify(message);
  return { channel: roomId, message: text, frame: text };
}
