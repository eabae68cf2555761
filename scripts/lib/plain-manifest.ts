// The chart without Helm: what it renders by its defaults, with a namespace on top and three places for people to edit.

/** Values that stand for what people edit. */
export const PLAIN_VALUES = { image: { repository: "runtime.example", tag: "latest" }, mongodb: { uri: "mongodb://your-mongodb:27017" } };
/** The words of `helm template` before the values. */
export const PLAIN_ARGS = ["--namespace", "runtime", "--kube-version", "1.29.0"];

const HEAD = `# Bot Runner without Helm: what the chart renders by its defaults. Made by \`npm run manifest\`; a change belongs into chart/.
# Edit the three places that say EDIT (1: the image, 2: MongoDB, 3: the segments), then:
#   kubectl apply -f deploy/runtime.yaml
# Later changes, of the bounds in runtime-scaling as well, come by the same command. Only after one of the Secret the pods have to be
# told: kubectl rollout restart deployment/runtime -n runtime
apiVersion: v1
kind: Namespace
metadata:
  name: runtime
  labels:
    # The Docker Engines of the bots are privileged; Pod Security would let no pod come up.
    pod-security.kubernetes.io/enforce: privileged
`;

/** Lines that say Helm made this, and a checksum that would not follow an edit of the Secret. */
const HELMS = /^ +(app\.kubernetes\.io\/managed-by|helm\.sh\/chart|checksum\/mongodb): .*\n/gm;

const EDITS: readonly (readonly [where: RegExp, by: string])[] = [
  [
    /^( +)image: runtime\.example:latest$/m,
    "$1# EDIT 1: the image that you have built and pushed.\n$1image: gcr.io/YOUR_PROJECT/runtime:latest",
  ],
  [
    /^data:\n {2}MONGO_URI: .*$/m,
    `# EDIT 2: where MongoDB is. Its database and collection stand in the Deployment: DB_NAME, COLLECTION_NAME.
stringData:
  MONGO_URI: "${PLAIN_VALUES.mongodb.uri}"`,
  ],
  [/^( +)(- name: MAX_SEGMENT)$/m, "$1# EDIT 3: the number of segments, which is the most workers that bots can use.\n$1$2"],
];

/** @param rendered what `helm template runtime ./chart` prints with `PLAIN_ARGS` and `PLAIN_VALUES`
 *  @throws {Error} where the chart has nothing to edit at one of the places */
export function plainManifest(rendered: string): string {
  const objects = rendered
    .split(/^---$/m)
    .map((text) => text.replace(/^# Source: .*\n/m, "").trim())
    .filter((text) => text !== "");
  const plain = `${[HEAD.trimEnd(), ...objects].join("\n---\n")}\n`.replaceAll(HELMS, "");
  return EDITS.reduce((text, [where, by]) => {
    if (!where.test(text)) throw new Error(`Cannot find what to edit in the rendered chart: ${where.source}`);
    return text.replace(where, by);
  }, plain);
}
