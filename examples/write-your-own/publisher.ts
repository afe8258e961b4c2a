import { RedisPubSubPublisher } from "tidings/publishers/redis";

export class MyWebsocketPublisher extends RedisPubSubPublisher {}
