/** What a server logs: lines of JSON on its standard output. */
import { type Logger, pino } from "pino";
import type { Settings } from "./settings.ts";

/** @param output Default: through the stream, not past it: Pino's own writer can wait for ever for a pipe that nobody reads. */
export function createLogger(
  level: Settings["logLevel"],
  output: { write(line: string): void } = process.stdout,
): Logger {
  return pino({ level, serializers: { err: told } }, output);
}

/** As Pino does it, which adds what the causes say: our messages have said it. */
function told(error: Error): object {
  const line = pino.stdSerializers.err(error);
  const { cause, message } = error ?? {};
  if (cause instanceof Error && message.includes(cause.message)) line.message = message;
  return line;
}
