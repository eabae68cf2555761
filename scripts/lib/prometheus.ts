// A Prometheus of our own on loopback, its data in the run directory. The kernel kills it when the thread that spawned it dies.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { stringify } from "yaml";

import type { Place } from "./cache.ts";
import { until } from "./command.ts";
import { freePort } from "./private-mongo.ts";
import { ensurePrometheus } from "./promtool.ts";
import { recordProcess } from "./run-dir.ts";

/** One series of an answer: its labels, and its values in the order of time, as Prometheus writes them. */
export type Answer = { readonly metric: Readonly<Record<string, string>>; readonly values: readonly string[] };

export interface PrometheusOptions extends Place {
  /** What is asked, in the words of Prometheus' `scrape_configs`. */
  readonly scrapes: readonly object[];
  /** A rules file's text. @default none */
  readonly rules?: string;
  /** Between two scrapes, and two looks at the rules. */
  readonly everySeconds: number;
}

/** A step that no value fits between, wherever in it the scrape was. */
const STEPS_PER_SCRAPE = 4;

export class PrivatePrometheus {
  readonly #at: string;
  readonly #everySeconds: number;
  readonly #startedAt = Date.now();
  readonly stop: () => Promise<void>;

  private constructor(at: string, { everySeconds }: PrometheusOptions, stop: () => Promise<void>) {
    this.#at = at;
    this.#everySeconds = everySeconds;
    this.stop = stop;
  }

  static async start(options: PrometheusOptions): Promise<PrivatePrometheus> {
    const { runDir, cacheDir, say, scrapes, rules = "", everySeconds } = options;
    const program = await ensurePrometheus(cacheDir, say);
    const at = `127.0.0.1:${await freePort("127.0.0.1")}`;
    const [config, ruleFile, logFile] = ["prometheus.yaml", "rules.yaml", "prometheus.log"].map((name) => join(runDir, name)) as [
      string,
      string,
      string,
    ];
    const interval = `${everySeconds}s`;
    await writeFile(ruleFile, rules);
    await writeFile(
      config,
      stringify({
        global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
        rule_files: [ruleFile],
        scrape_configs: scrapes,
      }),
    );
    const log = openSync(logFile, "a");
    const args = [`--config.file=${config}`, `--storage.tsdb.path=${join(runDir, "prometheus")}`, `--web.listen-address=${at}`];
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program, ...args], { stdio: ["ignore", log, log] });
    closeSync(log);
    const ended = once(child, "close");
    const stop = async (): Promise<void> => {
      child.kill("SIGKILL"); // its data goes with the run directory
      await ended;
    };
    try {
      await recordProcess(runDir, child.pid ?? 0);
      await until("Prometheus", 30_000, async () => {
        if (child.exitCode !== null) throw new Error("Cannot keep Prometheus running");
        return (await fetch(`http://${at}/-/ready`).catch(() => undefined))?.ok === true || undefined;
      });
    } catch (cause) {
      await stop();
      throw new Error(`Cannot start Prometheus:\n${(await readFile(logFile, "utf8")).slice(-2_000)}`, { cause });
    }
    return new PrivatePrometheus(at, options, stop);
  }

  /** What a panel of the time since the start would show. @throws {Error} with Prometheus' own words */
  async range(query: string): Promise<Answer[]> {
    const [end, step] = [Date.now() / 1_000, this.#everySeconds / STEPS_PER_SCRAPE];
    // Counted from the end, so that the last step is now: what `last` has seen is in here, too.
    const start = end - step * Math.floor((end - this.#startedAt / 1_000) / step);
    const window = { start: String(start), end: String(end), step: String(step) };
    const found = await this.#ask("query_range", { query, ...window });
    return found.map(({ metric, values = [] }) => ({ metric, values: values.map(([, value]) => value) }));
  }

  /** The value of a query's first series now; undefined when it has none. @throws as `range` */
  async last(query: string): Promise<number | undefined> {
    const [first] = await this.#ask("query", { query });
    return first?.value === undefined ? undefined : Number(first.value[1]);
  }

  async #ask(what: "query" | "query_range", asked: Record<string, string>): Promise<Found[]> {
    const body = new URLSearchParams(asked);
    const url = `http://${this.#at}/api/v1/${what}`;
    const reply = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(10_000) });
    const { data, error } = (await reply.json()) as { data?: { result: Found[] }; error?: string };
    if (data === undefined) throw new Error(`Cannot answer "${asked["query"]}": ${error ?? reply.statusText}`);
    return data.result;
  }
}

type Sample = readonly [time: number, value: string];
type Found = { readonly metric: Answer["metric"]; readonly values?: readonly Sample[]; readonly value?: Sample };
