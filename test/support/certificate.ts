import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Writes `certificate.pem` and `key.pem`, for `localhost`. */
export function selfSigned(folder: string): void {
  const args = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
  ];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "certificate.pem")];
  execFileSync("openssl", [...args, ...subject, ...files], { stdio: "ignore" });
}
