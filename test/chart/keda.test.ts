// KEDA in the leader's place: what it is told, and what a switch between the two changes.
import { expect } from "chai";

import { helms, LEAST, merge, refusal, render, type Values } from "../support/chart.ts";

const serverAddress = "http://prometheus.monitoring.svc:9090";
const keda = (more: Values = {}, scaling: Values = {}): Values => ({
  scaling: { mode: "keda", ...scaling, keda: { serverAddress, ...more } },
});
const QUERY = `max(max_over_time(botrunner_replicas_desired{namespace="runtime",pod=~"runtime-[0-9a-z]+(-[0-9a-z]+)?"}[60s]))`;

type Case = readonly [why: string, values: Values, says: string];
const refused: readonly Case[] = [
  ["nobody to ask", keda({ serverAddress: null }), "scaling.keda.serverAddress: must be the address of the Prometheus"],
  [
    "an address without http",
    keda({ serverAddress: "prometheus:9090" }),
    'serverAddress: must be the address of the Prometheus that KEDA asks, such as http://prometheus-operated.monitoring.svc:9090, got "prometheus:9090"',
  ],
  ["a query in the address", keda({ serverAddress: `${serverAddress}/?a=b` }), "serverAddress: must be the address"],
  [
    "a scrape in words",
    keda({ scrapeIntervalSeconds: "15s" }),
    'scaling.keda.scrapeIntervalSeconds: must be a whole number from 1 to 300, got "15s"',
  ],
  ["scrapes that Prometheus forgets between", keda({ scrapeIntervalSeconds: 301 }), 'from 1 to 300, got "301"'],
  [
    "a cooldown that no HPA has",
    keda({}, { cooldownSeconds: 3601 }),
    "scaling.cooldownSeconds: must be at most 3600 with scaling.mode keda",
  ],
  ["a word for a switch", keda({ hpaTolerance: "0" }), 'scaling.keda.hpaTolerance: must be one of true, false, got "0"'],
  [
    "a label that is none",
    keda({ podLabel: "pod-name" }),
    'scaling.keda.podLabel: must be the name of a label in Prometheus, such as pod, got "pod-name"',
  ],
  [
    "no label for the namespace",
    keda({ namespaceLabel: null }),
    "scaling.keda.namespaceLabel: must be the name of a label in Prometheus, such as namespace",
  ],
  [
    "metadata that is set already",
    keda({ metadata: { ignoreNullValues: "true" } }),
    "scaling.keda.metadata: must not set ignoreNullValues, which is set already",
  ],
  [
    "metadata in a tree",
    keda({ metadata: { customHeaders: { a: "b" } } }),
    'scaling.keda.metadata: must be words by words, got {"a":"b"} at customHeaders',
  ],
  [
    "a Secret and another one's reference",
    keda({ authentication: { secretName: "a", ref: { name: "b" } } }),
    "scaling.keda.authentication: set secretName or ref, not both",
  ],
  [
    "a mode that is none",
    keda({ authentication: { secretName: "a", modes: "token" } }),
    'authentication.modes: must be bearer, basic or tls, or two with a comma, got "token"',
  ],
  [
    "two names at once",
    keda({ authentication: { secretName: "a", modes: "basic,bearer", parameters: { username: "u", password: "p" } } }),
    "authentication.modes: must not be bearer and basic at once",
  ],
  [
    "a password that is nowhere",
    keda({ authentication: { secretName: "a", modes: "basic", parameters: { username: "u" } } }),
    "authentication.parameters: must say which key of the Secret holds password, which the mode basic shows",
  ],
  [
    "a certificate without its key",
    keda({ authentication: { secretName: "a", modes: "tls", parameters: { cert: "tls.crt" } } }),
    "authentication.parameters: must say for the mode tls which keys",
  ],
  [
    "a reference to a Secret",
    keda({ authentication: { ref: { kind: "Secret", name: "a" } } }),
    'authentication.ref: must have a name, and as its kind TriggerAuthentication or ClusterTriggerAuthentication, got {"kind":"Secret","name":"a"}',
  ],
  ["no authentication at all", keda({ authentication: null }), "scaling.keda.authentication: must not be null"],
  ["no group at all", { scaling: { keda: null } }, "scaling.keda: must not be null"],
  [
    "a bad address that nobody reads yet",
    { scaling: { keda: { serverAddress: "prometheus" } } },
    "scaling.keda.serverAddress: must be the address",
  ],
];

for (const helm of helms)
  describe(`chart with KEDA by ${helm.name}`, () => {
    const spec = (values: Values) => render(helm, values).one("ScaledObject")["spec"];
    const trigger = (values: Values) => spec(values).triggers[0];

    it("has KEDA write what the leader says, and the leader no right to", () => {
      const { one, all } = render(helm, keda({ hpaTolerance: true }, { minReplicas: 4, maxReplicas: 50, cooldownSeconds: 45 }));
      const policy = (type: string, value: number) => [{ type, value, periodSeconds: 15 }];
      expect(one("ScaledObject")["spec"]).to.deep.equal({
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "runtime" },
        minReplicaCount: 4,
        maxReplicaCount: 50,
        advanced: {
          restoreToOriginalReplicaCount: false,
          horizontalPodAutoscalerConfig: {
            behavior: {
              scaleUp: { stabilizationWindowSeconds: 0, selectPolicy: "Max", tolerance: "0", policies: policy("Pods", 50) },
              scaleDown: { stabilizationWindowSeconds: 45, selectPolicy: "Max", tolerance: "0", policies: policy("Percent", 100) },
            },
          },
        },
        triggers: [
          {
            type: "prometheus",
            metricType: "AverageValue",
            metadata: { serverAddress, query: QUERY, threshold: "1", ignoreNullValues: "false" },
          },
        ],
      });
      expect(one("ConfigMap", "runtime-scaling")["data"].SCALER).to.equal("keda");
      expect(JSON.stringify(one("Role")["rules"])).not.to.include("deployments/scale");
      expect(all.map(({ kind }) => kind)).not.to.include("TriggerAuthentication");
    });

    it("asks for a tenth more where an HPA's tolerance cannot be said", () => {
      const { advanced, triggers } = spec(keda());
      expect(triggers[0].metadata.query).to.equal(`ceil(1.1 * ${QUERY})`);
      const { scaleUp, scaleDown } = advanced.horizontalPodAutoscalerConfig.behavior;
      for (const rules of [scaleUp, scaleDown]) expect(rules).to.have.all.keys("stabilizationWindowSeconds", "selectPolicy", "policies");
    });

    it("looks back over two scrapes, by the labels that the Prometheus has", () => {
      const of = (more: Values) => trigger(keda({ hpaTolerance: true, ...more })).metadata.query as string;
      expect(of({ scrapeIntervalSeconds: 5 })).to.include("}[10s]");
      expect(of({ namespaceLabel: "kubernetes_namespace", podLabel: "instance_pod" }))
        .to.include('{kubernetes_namespace="runtime",')
        .and.include('instance_pod=~"runtime-');
      expect(of({ podLabel: null })).to.include('botrunner_replicas_desired{namespace="runtime"}[60s]');
    });

    it("reads this release's pods and no other's", () => {
      const isRead = (release: string) => {
        const { query } = render(helm, keda(), { release }).one("ScaledObject")["spec"].triggers[0].metadata;
        return new RegExp(`^(?:${/pod=~"([^"]+)"/.exec(query)?.[1]})$`);
      };
      const pods = isRead("runtime");
      expect("runtime-5d9f7c6b48-x2v9q").to.match(pods);
      for (const other of ["blue-runtime-5d9f7c6b48-x2v9q", "runtime-blue-5d9f7c6b48-x2v9q", "runtime"]) expect(other).not.to.match(pods);
      // Kubernetes cuts what stands before a pod's last five letters to 58.
      const long = `${"r".repeat(44)}-runtime`.slice(0, 50);
      expect(`${`${long}-5d9f7c6b48-`.slice(0, 58)}x2v9q`).to.match(isRead(long));
    });

    it("shows the Prometheus what the Secret holds for the modes that are named", () => {
      const authentication = { secretName: "mine", modes: "tls,bearer", parameters: { ca: "ca.crt", bearerToken: "jwt" } };
      const rendered = render(helm, keda({ authentication }));
      expect(rendered.one("TriggerAuthentication")["spec"]).to.deep.equal({
        secretTargetRef: [
          { parameter: "ca", name: "mine", key: "ca.crt" },
          { parameter: "bearerToken", name: "mine", key: "jwt" },
        ],
      });
      expect(rendered.one("ScaledObject")["spec"].triggers[0]).to.deep.include({ authenticationRef: { name: "runtime" } });
      expect(rendered.one("ScaledObject")["spec"].triggers[0].metadata).to.include({ authModes: "tls,bearer" });
      const basic = { secretName: "mine", modes: "basic", parameters: { username: "u", password: "p" } };
      expect(render(helm, keda({ authentication: basic })).one("TriggerAuthentication")["spec"].secretTargetRef).to.have.lengthOf(2);
    });

    it("takes an authentication of yours as it is", () => {
      const ref = { kind: "ClusterTriggerAuthentication", name: "mine" };
      const rendered = render(helm, keda({ authentication: { ref } }));
      expect(rendered.one("ScaledObject")["spec"].triggers[0].authenticationRef).to.deep.equal(ref);
      expect(rendered.all.map(({ kind }) => kind)).not.to.include("TriggerAuthentication");
    });

    it("hands on metadata, annotations and labels as words, numbers and switches too", () => {
      const more = {
        metadata: { timeout: 5000, unsafeSsl: true },
        annotations: { "autoscaling.keda.sh/paused": true },
        labels: { team: 7 },
      };
      const { metadata, ...rest } = render(helm, keda(more)).one("ScaledObject");
      expect(rest["spec"].triggers[0].metadata).to.include({ timeout: "5000", unsafeSsl: "true" });
      expect(metadata).to.deep.include({ annotations: { "autoscaling.keda.sh/paused": "true" } });
      expect(metadata.labels).to.include({ team: "7", "app.kubernetes.io/instance": "runtime" });
    });

    it("gives the HPA a name that a label bears, also for the longest release", () => {
      const { metadata } = render(helm, keda(), { release: "r".repeat(53) }).one("ScaledObject");
      expect(`keda-hpa-${metadata.name}`).to.have.lengthOf.at.most(63);
    });

    it("is switched on and off without another byte in the Deployment: no pod restarts, nobody sets the count", () => {
      const texts = ["native", "keda", "none"].map((mode) => render(helm, keda({}, { mode })).text("Deployment"));
      expect(new Set(texts).size).to.equal(1);
      expect(texts[0]).not.to.match(/^ {2}replicas:/m);
    });

    it("is there in its own mode only, whatever else is said", () => {
      for (const mode of ["native", "none"]) {
        const kinds = render(helm, keda({ authentication: { secretName: "mine" } }, { mode })).all.map(({ apiVersion }) => apiVersion);
        expect(kinds).not.to.include("keda.sh/v1alpha1");
      }
    });

    for (const [why, values, says] of refused)
      it(`is refused: ${why}`, () => {
        expect(refusal(helm, merge(LEAST, values)).replaceAll('\\"', '"')).to.include(says);
      });
  });
