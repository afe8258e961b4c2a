/** Loaded into a server before all else: a clock that goes wrong by what the file named by FAULTS_CLOCK says, in milliseconds. */
import { readFileSync } from "node:fs";

const file = process.env.FAULTS_CLOCK;
if (file !== undefined) {
  const Real = Date;
  let skew = 0;
  const look = () => {
    skew = Number(readFileSync(file, "utf8")) || 0;
  };
  look();
  process.on("SIGUSR2", look);
  globalThis.Date = new Proxy(Real, {
    construct: (_, args, target) =>
      Reflect.construct(Real, args.length === 0 ? [Real.now() + skew] : args, target) as object,
    apply: () => new Real(Real.now() + skew).toString(),
    get: (_, name) => (name === "now" ? () => Real.now() + skew : Reflect.get(Real, name)),
  });
}
