/** `TIDINGS_PUBLISHER`: loads the publisher that a site wrote for itself. */
import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { TidingsError } from "../errors.ts";
import type { OwnPublisher } from "../publishers/delivery.ts";
import { didYouMean } from "./flags.ts";
import { loadFailure, type Settings } from "./settings.ts";

/**
 * The publisher that the setting names: `module#name` (without a name the module's default export), or the thing itself.
 * A class is instantiated, without arguments. A module is a path relative to `cwd`, or a package that is installed beside
 * Tidings. Throws `settings` with one line that names what is wrong.
 *
 * @example
 * await loadPublisher("./publishers/mine.ts#MyWebsocketPublisher");
 * await loadPublisher("tidings/publishers/redis#RedisPubSubPublisher");
 */
export async function loadPublisher(
  setting: NonNullable<Settings["publisher"]>,
  cwd: string = process.cwd(),
): Promise<OwnPublisher> {
  const isNamed = typeof setting === "string";
  const label = isNamed ? `the publisher ${JSON.stringify(setting)}` : "the publisher of the config file";
  const found: unknown = isNamed ? await namedExport(setting, cwd, label) : setting;
  const made = typeof found === "function" ? instance(found as new () => unknown, label) : found;
  if (typeof (made as Partial<OwnPublisher> | null | undefined)?.publish === "function")
    return made as OwnPublisher;
  throw wrong(
    `${label} has no publish(channelId, renders, removals): it must be a class that extends BaseWebsocketPublisher, or an object with that method`,
  );
}

async function namedExport(setting: string, cwd: string, label: string): Promise<unknown> {
  const hash = setting.lastIndexOf("#");
  const [module, name] = hash < 0 ? [setting, "default"] : [setting.slice(0, hash), setting.slice(hash + 1)];
  const file = resolve(cwd, module);
  const isPath = isAbsolute(module) || /^\.{1,2}[\\/]/.test(module);
  if (isPath && !existsSync(file)) throw wrong(`${label}: there is no file ${file}`);
  let exports: Readonly<Record<string, unknown>>;
  try {
    exports = await import(isPath ? pathToFileURL(file).href : module);
  } catch (cause) {
    const hint = !isPath && existsSync(file) ? `; a file is named by ./${module}` : "";
    throw wrong(`${label} cannot be loaded: ${loadFailure(cause, "it in JavaScript")}${hint}`, cause);
  }
  if (Object.hasOwn(exports, name)) return exports[name];
  const names = Object.keys(exports).sort();
  const known = names.length > 0 ? `it exports ${names.join(", ")}` : "it exports nothing";
  if (hash < 0) throw wrong(`${label}: ${module} has no default export: add #name; ${known}`);
  throw wrong(`${label}: ${module} exports no ${name}${didYouMean(name, names) || `: ${known}`}`);
}

function instance(Found: new () => unknown, label: string): unknown {
  try {
    return new Found();
  } catch (cause) {
    const isClass = Object.hasOwn(Found, "prototype");
    const why = isClass ? loadFailure(cause) : "it is a function, not a class or an object with publish()";
    throw wrong(`${label} cannot be made: ${why}`, cause);
  }
}

function wrong(message: string, cause?: unknown): TidingsError {
  return new TidingsError("settings", message, { field: "publisher", cause });
}
