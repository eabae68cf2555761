import { Command, CommanderError } from "commander";
import { describeConfig, parseConfig } from "../config.ts";
import { addBotCommands } from "./bot-commands.ts";
import { createContext } from "./command-context.ts";
import { addDoctorCommand } from "./doctor-command.ts";
import { addDrainCommand } from "./drain-command.ts";
import { EXIT, EXIT_MEANINGS, errorText, exitCodeOf } from "./exit-codes.ts";
import { addFleetCommand } from "./fleet-command.ts";
import { outputOption, ttyWidth } from "./options.ts";
import type { CliDeps } from "./ports.ts";
import { renderTable } from "./table.ts";
import { oneLine } from "./terminal.ts";

type OutputOptions = { readonly output: "table" | "json" };

/** The whole command line. Its actions throw; `runProgram` turns what they throw into exit codes. `onExitCode` gets the
 *  code of an action that ends without throwing. */
function createProgram(deps: CliDeps, onExitCode: (code: number) => void = () => {}): Command {
  const program = new Command("runtime")
    .description("Bot Runner: keeps the containers that MongoDB documents describe running, exactly once each.")
    .version(deps.version, "--version", "print the version")
    .helpOption("--help", "print this help")
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeOut: (text) => void deps.stdout.write(text), writeErr: (text) => void deps.stderr.write(text) })
    .addHelpText(
      "after",
      () =>
        `\nExamples:\n  runtime                                  run bots until SIGTERM\n  runtime config                           show the settings in effect\n  runtime bots apply -f bots.yaml          write bots\n  runtime bots list --output json          show bots to a script\n  runtime fleet                            show who leads and who runs what\n  runtime doctor                           find what is wrong around it\n\n${exitCodeHelp()}\n\nThe settings are environment variables; MONGO_URI is required.`,
    );

  program
    .command("serve", { isDefault: true })
    .description("run bots until SIGTERM or SIGINT (the default)")
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => {
      // Commander hands unknown words to the default command.
      const [word] = command.args;
      if (word !== undefined)
        command.error(`error: unknown command '${oneLine(word)}'\nRun runtime --help for the commands`, { exitCode: EXIT.usage });
      onExitCode(await deps.serve(parseConfig(deps.env)));
    })
    .addHelpText("after", "\nExample:\n  MONGO_URI=mongodb://localhost:27017 runtime serve");

  program
    .command("config")
    .description("show the settings in effect, where each comes from, secrets hidden")
    .addOption(outputOption())
    .action(({ output }: OutputOptions) => {
      const parsed = parseConfig(deps.env);
      for (const warning of parsed.warnings) deps.stderr.write(`warning: ${oneLine(warning)}\n`);
      const rows = describeConfig(parsed);
      const table = () =>
        renderTable(
          ["VARIABLE", "VALUE", "ORIGIN", "DESCRIPTION"],
          rows.map((r) => [r.name, r.value === "" ? "-" : r.value, r.origin, r.description]),
          ttyWidth(deps),
        );
      deps.stdout.write(output === "json" ? `${JSON.stringify(rows, null, 2)}\n` : table());
    })
    .addHelpText("after", "\nExamples:\n  runtime config\n  runtime config --output json | jq '.[] | select(.origin != \"default\")'");

  addBotCommands(program.command("bots").description("read and write bots"), deps);

  const context = createContext(deps);
  addFleetCommand(program, context);
  addDrainCommand(program, context);
  addDoctorCommand(program, context);
  return program;
}

/** Runs one command line and gives its exit code; prints whatever went wrong. Never throws. */
export async function runProgram(args: readonly string[], deps: CliDeps): Promise<number> {
  let code: number = EXIT.ok;
  // `runtime bots list | head`: a reader that has seen enough is no fault.
  for (const stream of [deps.stdout, deps.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => void (error.code === "EPIPE" ? undefined : (code = EXIT.failure)));
  try {
    await createProgram(deps, (given) => (code = given)).parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    deps.stderr.write(`${errorText(error).split("\n").map(oneLine).join("\n")}\n`);
    return exitCodeOf(error);
  }
}

function exitCodeHelp(): string {
  return `Exit codes:\n${renderTable(
    [],
    EXIT_MEANINGS.map(([code, meaning]) => [`  ${code}`, meaning]),
  ).trimEnd()}`;
}
