import { once } from "node:events";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { expect } from "chai";
import { DockerClient } from "../../../src/docker/client.ts";
import { QuietAgent } from "../../../src/docker/quiet-agent.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { json, scriptedDaemon } from "../../support/scripted-daemon.ts";

describe("docker/quiet-agent", () => {
  it("prints as one word in full depth, whatever sockets it holds", async () => {
    const agent = new QuietAgent({ keepAlive: true });
    const server = createServer((_, reply) => void reply.end("x")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const [reply] = await once(get({ port: (server.address() as AddressInfo).port, agent }), "response");
    await once(reply.resume(), "end");
    expect(Object.keys({ ...agent.sockets, ...agent.freeSockets })).to.have.lengthOf(1);
    expect(inspect({ agent }, { showHidden: true, depth: null })).to.equal("{ agent: QuietAgent }");
    agent.destroy();
    server.close();
  });

  for (const use of ["call", "callLong"] as const) {
    it(`is what ${use}() of the client uses`, async () => {
      await using daemon = await scriptedDaemon({ "/x": json({}) });
      const client = new DockerClient(daemon.host, new FakeClock());
      await client.apiVersion();
      const print = QuietAgent.prototype[inspect.custom];
      let printed = 0;
      QuietAgent.prototype[inspect.custom] = () => String(++printed);
      try {
        await client[use]({ what: "ask", method: "GET", path: "/x", limitMs: 1_000 });
      } finally {
        QuietAgent.prototype[inspect.custom] = print;
        client.close();
      }
      expect(printed).to.equal(1);
    });
  }
});
