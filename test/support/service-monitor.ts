/** A ServiceMonitor as far as it says what is scraped. */
export type ServiceMonitor = {
  readonly spec: {
    readonly namespaceSelector: { readonly matchNames: readonly string[] };
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly endpoints: readonly { readonly port: string; readonly path: string }[];
  };
};

type Meta = { readonly namespace: string; readonly name: string; readonly labels?: Readonly<Record<string, string>> };
type Service = { readonly metadata: Meta };
type EndpointSlice = {
  readonly metadata: Meta;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpoints: readonly { readonly addresses: readonly string[]; readonly targetRef?: { readonly name: string } }[];
};

type Target = { readonly targets: readonly string[]; readonly labels: Readonly<Record<string, string>> };

const safe = (name: string) => name.replaceAll(/\W/g, "_");

/** Every port of every endpoint as Prometheus' discovery describes it: Debian's has none for Kubernetes, so it reads these from a file.
 *  Source: `kubernetes_sd_config` in Prometheus' documentation */
export function discover(services: readonly Service[], slices: readonly EndpointSlice[]): Target[] {
  return slices.flatMap(({ metadata: { namespace, labels = {} }, ports, endpoints }) => {
    const service = services.find(
      ({ metadata }) => metadata.namespace === namespace && metadata.name === labels["kubernetes.io/service-name"],
    );
    const ofService = Object.entries(service?.metadata.labels ?? {}).flatMap(([key, value]) => [
      [`__meta_kubernetes_service_label_${safe(key)}`, value],
      [`__meta_kubernetes_service_labelpresent_${safe(key)}`, "true"],
    ]);
    return endpoints.flatMap(({ addresses: [address], targetRef }) =>
      ports.map(({ name, port }) => ({
        targets: [`${address}:${port}`],
        labels: {
          ...Object.fromEntries(ofService),
          __meta_kubernetes_namespace: namespace,
          __meta_kubernetes_service_name: service?.metadata.name ?? "",
          __meta_kubernetes_pod_name: targetRef?.name ?? "",
          __meta_kubernetes_endpoint_port_name: name,
        },
      })),
    );
  });
}

/** What Prometheus' operator makes of the monitor: a scrape for each endpoint, which keeps what the selectors mean, and gives its series
 *  the labels that the dashboard and the rules rely on.
 *  @param file what `discover` has found
 *  Source: the operator's documentation of ServiceMonitor, and the relabelings that it writes into its Secret */
export function scrapesOf({ spec }: ServiceMonitor, file: string): object[] {
  const keep = (source_labels: readonly string[], regex: string) => ({ action: "keep", source_labels, regex });
  const set = (target_label: string, source: string) => ({ target_label, source_labels: [source] });
  const labels = Object.entries(spec.selector.matchLabels).map(([key, value]) =>
    keep([`__meta_kubernetes_service_label_${safe(key)}`, `__meta_kubernetes_service_labelpresent_${safe(key)}`], `(${value});true`),
  );
  return spec.endpoints.map(({ port, path }, at) => ({
    job_name: `serviceMonitor/${at}`,
    metrics_path: path,
    file_sd_configs: [{ files: [file] }],
    relabel_configs: [
      keep(["__meta_kubernetes_namespace"], spec.namespaceSelector.matchNames.join("|")),
      ...labels,
      keep(["__meta_kubernetes_endpoint_port_name"], port),
      set("namespace", "__meta_kubernetes_namespace"),
      set("service", "__meta_kubernetes_service_name"),
      set("pod", "__meta_kubernetes_pod_name"),
      set("job", "__meta_kubernetes_service_name"),
    ],
  }));
}
