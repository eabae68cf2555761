import { expect } from "chai";

import type { Release } from "../../scripts/lib/cluster/product.ts";

type Finding = { readonly check: string; readonly verdict: string; readonly what: string };

/** Prints the container's own cgroup by memory and the one of each bot's first process, and then the bytes that the one counts and the
 *  sum of what the others do; on v2, where this is not the machine's, it looks for the same below the container. */
const LOOK = `
if [ -e /sys/fs/cgroup/memory ]; then top=/sys/fs/cgroup/memory count=memory.usage_in_bytes; else top=/sys/fs/cgroup count=memory.current; fi
of() { sed -n -e 's/^[0-9]*:memory://p' -e 's/^0:://p' "/proc/$1/cgroup" | head -n 1; }
own=$(of 1) own=\${own%/init}
[ -d "$top/bots" ] || top=$top$own
echo "$own $(cat "$top/$count")"
for bot in "$top"/bots/*/; do read -r pid <"$bot/cgroup.procs" && echo "$(of "$pid") $(cat "$bot/$count")"; done`;

/** What `runtime doctor` and `helm test` say of pods that run bots, and where those lie. */
export function doctor(release: () => Release): void {
  const busy = async (): Promise<string> => [...(await release().states()).values()][0]?.worker ?? "";

  it("has bots in the cgroup of their pod, whose memory holds theirs", async () => {
    const said = await release().kubectl("exec", await busy(), "-c", "docker", "--", "sh", "-c", LOOK);
    const [container, ...bots] = said
      .trim()
      .split("\n")
      .map((line) => line.split(" "));
    const [own = "", bytes = ""] = container ?? [];
    expect(own, said).to.match(/\/kubepods\/.*pod[-0-9a-f]+\/[0-9a-f]{64}$/);
    expect(bots, said).to.have.lengthOf.at.least(1);
    for (const [path = ""] of bots) expect(path).to.satisfy((text: string) => text.startsWith(`${own}/bots/`), path);
    expect(Number(bytes)).to.be.above(bots.reduce((sum, [, of]) => sum + Number(of), 0));
  });

  it("finds nothing wrong when it looks at itself", async () => {
    const said = await release().kubectl("exec", await busy(), "-c", "runtime", "--", "runtime", "doctor", "--output", "json");
    const { checks } = JSON.parse(said) as { readonly checks: readonly Finding[] };
    const found = (name: string) => checks.find(({ check }) => check === name);
    expect(
      checks.filter(({ verdict }) => verdict === "fail"),
      said,
    ).to.deep.equal([]);
    for (const name of ["docker", "docker-cgroup", "docker-addresses", "fence", "kubernetes", "kubernetes-scaling", "kubernetes-rights"])
      expect(found(name)?.verdict, `${name}: ${found(name)?.what}`).to.equal("ok");
    expect(found("docker-cgroup")?.what).to.include("/bots, within the Engine's own container");
  });

  it("passes helm test, which leaves no pod behind", async () => {
    const before = await release().kubectl("get", "pods", "-o", "name");
    expect(await release().test()).to.match(/Phase: +Succeeded/);
    expect(await release().kubectl("get", "pods", "-o", "name")).to.equal(before);
  });
}
