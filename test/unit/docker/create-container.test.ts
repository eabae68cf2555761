import { expect } from "chai";
import { EngineRefusedError, NameHeldError } from "../../../src/core/errors.ts";
import { createContainer } from "../../../src/docker/create-container.ts";
import { DockerClient } from "../../../src/docker/client.ts";
import { bot } from "../../support/builders.ts";
import { hastyClock, json, type Script, scriptedDaemon } from "../../support/scripted-daemon.ts";

const NAME = "bot-x";
const conflict = json({ message: `Conflict. The container name "/${NAME}" is already in use by container "c0".` }, 409);
const made = json({ Id: "c1", Warnings: [] }, 201);
const none = json({ message: `No such container: ${NAME}` }, 404);

/** How a create ends against a daemon that refuses the first `conflicts` of them, and how often it was asked to create. */
async function create(conflicts: number, replies: Readonly<Record<string, Script>>) {
  let creates = 0;
  const post: Script = (q, r) => (++creates > conflicts ? made(q, r) : conflict(q, r));
  await using daemon = await scriptedDaemon({ "/containers/create": post, ...replies });
  const clock = hastyClock();
  const client = new DockerClient(daemon.host, clock);
  try {
    const end: unknown = await createContainer(client, clock, bot("x"), {}).catch((error: unknown) => error);
    return { end, creates, asked: daemon.asked };
  } finally {
    client.close();
  }
}

describe("createContainer()", () => {
  const look = `/containers/${NAME}/json`;
  const list = "/containers/json";

  it("tries again while the Engine has let go of a container and not yet of its name", async () => {
    const { end, creates } = await create(3, { [look]: none });
    expect([end, creates]).to.deep.equal(["c1", 4]);
  });

  it("leaves a name to the next look that something has", async () => {
    const { end, creates } = await create(9, { [look]: json({ Id: "c0" }) });
    expect([(end as EngineRefusedError).status, creates]).to.deep.equal([409, 1]);
  });

  for (const { why, names, says } of [
    { why: "no container", names: [], says: /no container has it$/ },
    { why: "no container, for others have longer names", names: ["/bot-xy", "/my-bot-x"], says: /no container has it$/ },
    { why: "a container that only a list shows", names: ["/bot-x"], says: /container "c0", which it lists, cannot be found$/ },
  ]) {
    it(`says after five tries that the name is held by ${why}`, async () => {
      const { end, creates, asked } = await create(9, { [look]: none, [list]: json([{ Id: "c0", Names: names }]) });
      expect(end).to.be.instanceOf(NameHeldError);
      expect((end as Error).message)
        .to.match(says)
        .and.contain('the name "bot-x"');
      expect((end as Error).cause).to.be.instanceOf(EngineRefusedError);
      expect([creates, asked.filter((path) => path.endsWith(list)).length]).to.deep.equal([5, 1]);
    });
  }

  it("takes any other refusal for what it is", async () => {
    const { end, asked } = await create(0, { "/containers/create": json({ message: "no space left on device" }, 500) });
    expect([(end as EngineRefusedError).status, asked.length]).to.deep.equal([500, 2]);
  });
});
