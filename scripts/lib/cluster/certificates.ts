// The cluster's keys, by openssl: one authority for servers and clients, one for requests that the API server hands on, and
// a key pair that signs service-account tokens.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { run } from "../command.ts";

/** A certificate to make: `name` names the files, `subject` says who it is to the API server. */
export interface Subject {
  readonly name: string;
  readonly subject: string;
  /** For a server: such as "IP:10.0.0.1" or "DNS:kubernetes". */
  readonly alternatives?: readonly string[];
}

/** Files below one directory: `NAME.pem` and `NAME.key` for each subject, `ca.pem`, `front-ca.pem`, `accounts.{key,pub}`. */
export async function makeCertificates(dir: string, subjects: readonly Subject[]): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = (name: string) => join(dir, name);
  const make = (name: string, subject: string, more: readonly string[]) => {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file(`${name}.key`)];
    return run("openssl", ["req", "-x509", "-days", "30", "-subj", subject, ...key, "-out", file(`${name}.pem`), ...more]);
  };
  const signedBy = (ca: string) => ["-CA", file(`${ca}.pem`), "-CAkey", file(`${ca}.key`), "-addext", "basicConstraints=critical,CA:FALSE"];
  await Promise.all([
    make("ca", "/CN=bot-runner-cluster", []),
    make("front-ca", "/CN=bot-runner-front", []),
    run("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file("accounts.key")]),
  ]);
  await Promise.all([
    ...subjects.map(({ name, subject, alternatives = [] }) =>
      make(name, subject, [
        ...signedBy("ca"),
        ...alternatives.slice(0, 1).flatMap(() => ["-addext", `subjectAltName=${alternatives.join(",")}`]),
      ]),
    ),
    make("front", "/CN=front-proxy-client", signedBy("front-ca")),
    run("openssl", ["ec", "-in", file("accounts.key"), "-pubout", "-out", file("accounts.pub")]),
  ]);
}

/** Writes a kubeconfig that needs no other file, for one of the subjects. */
export async function writeKubeconfig(path: string, dir: string, name: string, server: string): Promise<void> {
  const data = async (file: string) => (await readFile(join(dir, file))).toString("base64");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "bot-runner", cluster: { server, "certificate-authority-data": await data("ca.pem") } }],
    users: [{ name, user: { "client-certificate-data": await data(`${name}.pem`), "client-key-data": await data(`${name}.key`) } }],
    contexts: [{ name: "bot-runner", context: { cluster: "bot-runner", user: name } }],
    "current-context": "bot-runner",
  };
  await writeFile(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
