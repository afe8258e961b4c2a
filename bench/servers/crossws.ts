/** crossws on Node, with its own pub/sub. */
import crossws from "crossws/adapters/node";
import { channelOf, listen } from "./http.ts";

const ws = crossws({
  serverOptions: { perMessageDeflate: false },
  hooks: {
    open: (peer) => peer.subscribe(channelOf(new URL(peer.request.url).pathname)),
  },
});
listen((channel, body) => void ws.publish(channel, body.toString())).on("upgrade", (...upgrade) =>
  ws.handleUpgrade(...upgrade),
);
