import { StringDecoder } from "node:string_decoder";
import { type Command, Option } from "commander";
import type { BotId } from "../core/ids.ts";
import { readLog, readPreviousLog } from "./bot-log.ts";
import { count, type CommandContext, idOf, type Output, type Session } from "./command-context.ts";
import { followLog } from "./follow-log.ts";
import { outputOption } from "./options.ts";
import { manyLines } from "./terminal.ts";

type Options = Output & { readonly tail: number; readonly follow?: true; readonly previous?: true };

export function addLogsCommand(parent: Command, context: CommandContext): void {
  const { deps, print, printJson, note, withBots } = context;
  parent
    .command("logs")
    .description("show the last lines that a bot wrote, or follow them")
    .argument("<bot>", "the bot's _id")
    .addOption(
      new Option("-f, --follow", "go on with what it writes, also in its next containers, until Ctrl-C").conflicts(["previous", "output"]),
    )
    .option("--tail <lines>", "how many lines", count, 100)
    .option("--previous", "the last run that has ended, even if another runs")
    .addOption(outputOption())
    .action(async (bot: string, { tail, output, follow, previous }: Options) =>
      withBots(async (session) => {
        const id = idOf(bot);
        if (follow === true) return followToEnd(id, tail, context, session);
        const sources = { deps, note, ...session };
        const log = await (previous === true ? readPreviousLog(id, tail, sources) : readLog(id, tail, sources));
        if (output === "json") printJson({ bot: id, source: log.source, lines: log.text === "" ? [] : log.text.split("\n") });
        else if (log.text === "") note([log.source === "none" && previous === true ? "No run has ended yet." : "No output yet."]);
        else print(`${deps.stdout.isTTY === true ? manyLines(log.text) : log.text}\n`);
        if (log.fault !== undefined) throw log.fault;
      }),
    )
    .addHelpText(
      "after",
      "\nThe container on this machine's Docker Engine is asked first, then the last recorded run (its last 16 KiB).\n\nExamples:\n  runtime bots logs ticker --tail 20\n  runtime bots logs ticker --follow --tail 0\n  runtime bots logs ticker --previous",
    );
}

/** Until Ctrl-C, or until nobody reads any more. */
async function followToEnd(id: BotId, tail: number, { deps, note }: CommandContext, session: Session): Promise<void> {
  const { stdout } = deps;
  const signals = deps.listenForSignals();
  const unread = new AbortController();
  const logs = deps.openBotLogs(session.config);
  const decoder = new StringDecoder();
  // Resolves once the text is on its way, so that a slow terminal slows the Engine down.
  const write = (text: Buffer): Promise<void> =>
    new Promise((resolve) => {
      stdout.write(stdout.isTTY === true ? manyLines(decoder.write(text)) : text, (error) => {
        if (error) unread.abort(error); // `runtime bots logs -f ticker | head`
        resolve();
      });
    });
  try {
    await followLog(id, tail, { ...session, clock: deps.clock, logs, note, write, signal: AbortSignal.any([signals.stop, unread.signal]) });
  } finally {
    logs.close();
    signals.close();
  }
}
