// Makes the image's program: all of src and of the packages that it uses, in one file for the process and one for its heartbeat
// thread, in dist. A start spends most of its time with finding and reading hundreds of files; and ES modules that import
// node:http make Node load its whole WebSocket client, which CommonJS does not.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const out = join(root, "dist");

await build({
  absWorkingDir: root,
  entryPoints: { main: "src/main.ts", "serve/heartbeat-thread": "src/serve/heartbeat-thread.ts" },
  outdir: out,
  bundle: true,
  platform: "node",
  target: "node24",
  format: "cjs",
  // Errors are told by their names.
  keepNames: true,
  // One is loaded for a kubeconfig alone, the others are tried and not needed: what is not there stays away.
  external: [
    "@kubernetes/client-node",
    "*.node",
    "kerberos",
    "@mongodb-js/zstd",
    "@aws-sdk/credential-providers",
    "gcp-metadata",
    "snappy",
    "socks",
    "mongodb-client-encryption",
  ],
  // Modules that ask where they are lie one directory below what they look for: package.json, or the thread beside them.
  define: { "import.meta.url": "bundledUrl" },
  banner: { js: 'const bundledUrl = require("node:url").pathToFileURL(require("node:path").join(__dirname, "serve", "bundle.js")).href;' },
  logLevel: "warning",
});
await writeFile(join(out, "package.json"), `${JSON.stringify({ type: "commonjs" })}\n`);
