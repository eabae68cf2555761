import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openCache } from "../../scripts/lib/cache.ts";
import { type PrivateMongo, startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { openRun, type Run } from "../../scripts/lib/run-dir.ts";
import { ConfigurationError } from "../../src/core/errors.ts";
import { connectStore, type MongoOptions } from "../../src/mongo/connect.ts";
import { systemClock } from "../../src/process/clock.ts";
import { aWorker } from "../support/builders.ts";
import { type Certificates, makeCertificates } from "../support/certificates.ts";
import { rejection } from "./engine.suite.ts";

describe("MongoDB adapter: TLS", function () {
  this.timeout(60_000);
  let run: Run;
  let server: PrivateMongo;
  let ours: Certificates;
  let foreign: Certificates;
  let uri: string;

  before(async function () {
    if (!process.env.MONGO_URI) return this.skip();
    run = await openRun();
    [ours, foreign] = await Promise.all([makeCertificates(run.dir, "ours"), makeCertificates(run.dir, "foreign")]);
    await writeFile(join(run.dir, "no.pem"), "no certificate");
    const own = ["--tls-cert-file", ours.serverCertFile, "--tls-key-file", ours.serverKeyFile];
    server = await startPrivateMongo({
      runDir: run.dir,
      cacheDir: await openCache(process.env),
      say: () => {},
      flags: [...own, "--tls-ca-file", ours.caFile, "--tls-require-client-cert"],
      query: `&tls=true&tlsCAFile=${ours.caFile}&tlsCertificateKeyFile=${ours.clientFile}`,
    });
    uri = `mongodb://127.0.0.1:${server.port}/?directConnection=true`;
  });
  after(async () => {
    await server?.stop();
    await run?.remove();
  });

  const connect = (over: Partial<MongoOptions>) =>
    connectStore({ uri, dbName: "tls", collectionName: "bots", clock: systemClock, random: Math.random, ...over });

  it("works by the two files alone, which the URI need not name", async () => {
    const connection = await connect({ tls: { caFile: ours.caFile, certFile: ours.clientFile } });
    try {
      expect(await connection.store.insert("workers", aWorker("a"))).to.equal("inserted");
      expect(await connection.store.workers()).to.deep.equal([aWorker("a")]);
    } finally {
      await connection.close();
    }
  });

  const cases: readonly { why: string; names: string; over: () => Partial<MongoOptions> }[] = [
    {
      why: "an authority that did not sign the server's certificate",
      names: "MONGO_TLS_CA_FILE",
      over: () => ({ tls: { caFile: foreign.caFile, certFile: ours.clientFile } }),
    },
    {
      why: "no authority where the machine knows none for it",
      names: "MONGO_TLS_CA_FILE",
      over: () => ({ uri: `${uri}&tls=true`, tls: { certFile: ours.clientFile } }),
    },
    { why: "no client certificate", names: "MONGO_TLS_CERT_FILE", over: () => ({ tls: { caFile: ours.caFile } }) },
    {
      why: "a client certificate that the server does not trust",
      names: "MONGO_TLS_CERT_FILE",
      over: () => ({ tls: { caFile: ours.caFile, certFile: foreign.clientFile } }),
    },
    {
      why: "a client certificate that is none",
      names: "MONGO_TLS_CERT_FILE",
      over: () => ({ tls: { caFile: ours.caFile, certFile: join(run.dir, "no.pem") } }),
    },
    {
      why: "a client certificate without its key",
      names: "MONGO_TLS_CERT_FILE",
      over: () => ({ tls: { caFile: ours.caFile, certFile: ours.serverCertFile } }),
    },
    {
      why: "a host that is not the certificate's",
      names: "MONGO_URI",
      over: () => ({ uri: uri.replace("127.0.0.1", "localhost"), tls: { caFile: ours.caFile, certFile: ours.clientFile } }),
    },
  ];
  // Each takes as long as the driver looks for a server: they are tried side by side.
  let refusals: readonly Promise<unknown>[];
  before(() => {
    refusals = cases.map(({ over }) => rejection(connect({ timeoutMs: 800, ...over() })));
  });
  for (const [n, { why, names }] of cases.entries()) {
    it(`refuses, naming the variable to mend: ${why}`, async () => {
      const error = (await refusals[n]) as Error;
      expect(error).to.be.instanceOf(ConfigurationError);
      expect(error.message).to.match(new RegExp(`^${names}: `));
    });
  }
});
