import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { BotId } from "../core/ids.ts";
import { pickReading } from "../document/pick-reading.ts";
import { findTwins, planApply, type Applied } from "./apply.ts";
import { detailJson, detailText, listTable, plainDocument, viewBot, viewBots } from "./bot-views.ts";
import { createContext, idOf, missing, type Output } from "./command-context.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { addExplainCommand } from "./explain-command.ts";
import { addLogsCommand } from "./logs-command.ts";
import { outputOption, ttyWidth } from "./options.ts";
import type { CliDeps, UserBots } from "./ports.ts";
import { addRestartCommand } from "./restart-command.ts";
import { oneLine } from "./terminal.ts";

export function addBotCommands(parent: Command, deps: CliDeps): void {
  const context = createContext(deps);
  const { print, printJson, note, readSettings, withBots } = context;

  parent.addHelpText(
    "after",
    "\nExamples:\n  runtime bots apply -f examples/bots.yaml\n  runtime bots list\n  runtime bots logs ticker --follow\n  runtime bots explain ticker\n  runtime bots disable ticker",
  );

  parent
    .command("list")
    .description("show every bot and its state")
    .addOption(outputOption())
    .action(async ({ output }: Output) =>
      withBots(async ({ bots, read }) => {
        const views = await viewBots(bots.listBots(), bots.statuses(), read);
        if (output === "json") printJson(views);
        else if (views.length > 0) print(listTable(views, ttyWidth(deps)));
        else note(["No bots."]);
      }),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  runtime bots list\n  runtime bots list --output json | jq -r '.[] | select(.state == \"invalid\") | .bot'",
    );

  parent
    .command("get")
    .description("show one bot: state, document, last runs")
    .argument("<bot>", "the bot's _id")
    .addOption(outputOption())
    .action(async (bot: string, { output }: Output) =>
      withBots(async ({ bots, read }) => {
        const id = idOf(bot);
        const found = await bots.getBot(id);
        const reading = pickReading(found, read);
        const document = found.find((f) => f.raw.kind === "objectId") ?? found[0];
        if (reading === undefined || document === undefined) throw missing(id);
        const [status, runs] = await Promise.all([bots.status(id), bots.runs(id, 10)]);
        const detail = { view: viewBot(reading, status), document: plainDocument(document), status, runs };
        if (output === "json") printJson(detailJson(detail));
        else print(detailText(detail, ttyWidth(deps)));
      }),
    )
    .addHelpText("after", "\nExample:\n  runtime bots get ticker");

  addExplainCommand(parent, context);
  addLogsCommand(parent, context);

  parent
    .command("apply")
    .description("write bots from YAML or JSON: all of them, or none if any is invalid")
    .requiredOption("-f, --file <file>", "file to read, - for standard input; several documents and lists are fine")
    .addOption(outputOption())
    .action(async ({ file, output }: Output & { readonly file: string }) => {
      const settings = readSettings();
      const plan = planApply(file === "-" ? "standard input" : file, await readInput(file, deps), settings.read);
      note(plan.warnings.map((w) => `warning: ${w}`));
      refuse(plan.faults);
      await withBots(async ({ bots }) => {
        refuse(await findTwins(plan, bots));
        const applied: Applied[] = [];
        for (const { bot, found } of plan.bots) {
          const result = await bots.putBot(found);
          applied.push({ bot, result });
          if (output === "table") print(`${oneLine(bot)} ${result}\n`);
        }
        if (output === "json") printJson(applied);
      }, settings);
    })
    .addHelpText(
      "after",
      "\nThe stored document becomes equal to the file's: a field that the file leaves out is removed\n(but for restartedAt), and a bot without `enabled: false` is enabled.\n\nExamples:\n  runtime bots apply -f bots.yaml\n  cat bots.json | runtime bots apply -f -",
    );

  const each = (name: string, description: string, act: (bots: UserBots, id: BotId) => Promise<string | undefined>) =>
    parent
      .command(name)
      .description(description)
      .argument("<bot...>", "_id of one or more bots")
      .addOption(outputOption())
      .action(async (names: string[], { output }: Output) =>
        withBots(async ({ bots }) => {
          const done: { bot: BotId; result: string }[] = [];
          for (const id of names.map(idOf)) {
            const result = (await act(bots, id)) ?? "missing";
            done.push({ bot: id, result });
            if (output === "table" && result !== "missing") print(`${oneLine(id)} ${result}\n`);
          }
          if (output === "json") printJson(done);
          const absent = done.filter(({ result }) => result === "missing");
          if (absent.length > 0) throw new CommandError(absent.map(({ bot }) => missing(bot).message).join("\n"), EXIT.missing);
        }),
      )
      .addHelpText("after", `\nExample:\n  runtime bots ${name} ticker`);

  each("delete", "delete bots; their containers are stopped and removed", async (bots, id) =>
    (await bots.deleteBot(id)) ? "deleted" : undefined,
  );
  for (const [name, enabled] of [
    ["enable", true],
    ["disable", false],
  ] as const)
    each(name, enabled ? "let bots run" : "stop bots and keep their documents", async (bots, id) => {
      const result = await bots.setEnabled(id, enabled);
      return result === "missing" ? undefined : result === "unchanged" ? result : `${name}d`;
    });
  addRestartCommand(parent, context);
}

function refuse(faults: readonly string[]): void {
  if (faults.length > 0)
    throw new CommandError(`${faults.join("\n")}\nNothing was written: ${faults.length} fault${faults.length === 1 ? "" : "s"}`, EXIT.data);
}

async function readInput(file: string, deps: CliDeps): Promise<string> {
  if (file !== "-") {
    return readFile(file, "utf8").catch((cause: unknown) => {
      throw new CommandError(`Cannot read the file ${JSON.stringify(file)}`, EXIT.missing, { cause });
    });
  }
  const chunks: Buffer[] = [];
  for await (const chunk of deps.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString("utf8");
}
