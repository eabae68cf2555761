import { expect } from "chai";
import { parseGuideCommands, readGuideCommands } from "../../support/guide-commands.ts";

/** Every command that the operator's guide tells people to run. */
const promised = [
  "docker build -t runtime:latest .",
  "docker tag runtime:latest gcr.io/YOUR_PROJECT/runtime:latest",
  "docker push gcr.io/YOUR_PROJECT/runtime:latest",
  "kubectl apply -f deploy/runtime.yaml",
  "kubectl get pods -n runtime",
  "kubectl get deployments -n runtime",
  "kubectl logs -f deployment/runtime -n runtime | grep -i scaling",
  "kubectl port-forward service/runtime-service 8080:8080 -n runtime",
  "curl http://localhost:8080/metrics/segments",
  'kubectl logs deployment/runtime -n runtime | grep "Scaling from"',
  "kubectl exec deployment/runtime -n runtime -- curl localhost:8080/metrics/segments",
  "kubectl get deployment runtime -n runtime -w",
  "kubectl auth can-i update deployments --as=system:serviceaccount:runtime:runtime",
  "kubectl logs deployment/runtime -n runtime | grep -i leader",
  "kubectl logs deployment/runtime -n runtime | grep -i autoscaler",
  "curl http://runtime-service.runtime:8080/metrics/segments",
  "kubectl logs deployment/runtime -n runtime | grep cooldown",
  "kubectl logs deployment/runtime -n runtime | grep -i error",
  "kubectl describe pods -n runtime",
  "kubectl get serviceaccount runtime -n runtime -o yaml",
  "kubectl top pods -n runtime",
  "kubectl delete -f deploy/runtime.yaml",
];

describe("docs/guide-commands.md", () => {
  it("has a row for each command of the guide, in its order, and no other", () => {
    expect(readGuideCommands().map(({ guide }) => guide)).to.deep.equal(promised);
  });
  it("keeps the bar of a pipe and of an alternative", () => {
    const leader = readGuideCommands().find(({ guide }) => guide.endsWith("leader"));
    expect(leader?.command).to.equal("kubectl logs deployment/runtime -n runtime | grep -i leader");
    expect("leader: this process leads").to.match(leader?.shows ?? /^$/);
  });
  for (const [why, row] of [
    ["a replacement has no reason", "| `a` | `b` | | yes | `x` |"],
    ["a test has nothing to look for", "| `a` | | | yes | |"],
    ["a stream has nothing to look for", "| `a` | | | stream | |"],
    ["what is looked for is looked for nowhere", "| `a` | | | needs a registry | `x` |"],
    ["a bar ends a cell too early", "| `a | grep b` | | | yes | `x` |"],
    ["a cell is missing", "| `a` | | | yes |"],
    ["the pattern is none", "| `a` | | | yes | `(` |"],
    ["it is not tested, and nothing says why", "| `a` | | | | |"],
  ] as const)
    it(`is refused where ${why}`, () => expect(() => parseGuideCommands(row)).to.throw());
});
