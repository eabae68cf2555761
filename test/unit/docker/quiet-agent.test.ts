import { once } from "node:events";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { expect } from "chai";
import { QuietAgent } from "../../../src/docker/quiet-agent.ts";

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
});
