import { appendFile, copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../scripts/lib/command.ts";

/** PEM files of a certificate authority and of those it vouches for. */
export type Certificates = {
  readonly caFile: string;
  /** Server: certificate and key apart, as the wire server takes them. */
  readonly serverCertFile: string;
  readonly serverKeyFile: string;
  /** Client: both in one file, as `MONGO_TLS_CERT_FILE` takes them. */
  readonly clientFile: string;
};

/** Makes them with openssl, for a server at 127.0.0.1, in files whose names begin with `name`. */
export async function makeCertificates(dir: string, name: string): Promise<Certificates> {
  const file = (what: string): string => join(dir, `${name}-${what}`);
  const make = async (who: string, more: readonly string[]): Promise<void> => {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file(`${who}.key`)];
    await run("openssl", ["req", "-x509", "-days", "2", "-subj", `/CN=${name}-${who}`, ...key, "-out", file(`${who}.pem`), ...more]);
  };
  const signed = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-addext", "basicConstraints=critical,CA:FALSE"];
  await make("ca", []);
  await make("server", [...signed, "-addext", "subjectAltName=IP:127.0.0.1"]);
  await make("client", signed);
  await copyFile(file("client.pem"), file("client-both.pem"));
  await appendFile(file("client-both.pem"), await readFile(file("client.key")));
  return {
    caFile: file("ca.pem"),
    serverCertFile: file("server.pem"),
    serverKeyFile: file("server.key"),
    clientFile: file("client-both.pem"),
  };
}
