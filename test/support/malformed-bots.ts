import { ObjectId } from "mongodb";

export type MalformedBot = {
  readonly why: string;
  /** As it is inserted into MongoDB; `_id` may be of any kind. */
  readonly document: Readonly<Record<string, unknown>>;
  /** Part of one of its faults. */
  readonly fault: string;
  /** Whether `_id` names a bot all the same: then `runtime.status` has it under that name. */
  readonly named: boolean;
};

const image = "bot-runner/demo-bot:1";
const bad = (why: string, document: MalformedBot["document"], fault: string): MalformedBot => ({
  why,
  document,
  fault,
  named: typeof document._id === "string",
});

/** Ten kinds of malformed document: none may crash or block anything, each is `invalid` with its reason. */
export const malformedBots: readonly MalformedBot[] = [
  bad("no image", { _id: "bad-no-image" }, "image: must be an image's name, got nothing"),
  bad("an image's name that no registry has", { _id: "bad-image", image: "Not An Image" }, "image: must not contain spaces"),
  bad(
    "a quantity of another world",
    { _id: "bad-memory", image, resources: { memory: "256MB" } },
    'resources.memory: has the unknown unit "MB"',
  ),
  bad("a number in env", { _id: "bad-env", image, env: { PORT: 8080 } }, "env.PORT: must be text, got a number: quote it"),
  bad(
    "a reserved variable",
    { _id: "bad-reserved", image, env: { BOT_EPOCH: "1" } },
    "env.BOT_EPOCH: is a name that the runtime sets itself",
  ),
  bad("a command as one text", { _id: "bad-command", image, command: "sh -c true" }, "command: must be a list of texts"),
  bad(
    "values in config that JSON has no word for",
    { _id: "bad-config", image, config: { account: new ObjectId(), since: new Date(0), match: /x/ } },
    "config.account: must be JSON, got an ObjectId",
  ),
  bad(
    "a grace beyond any limit",
    { _id: "bad-grace", image, stopGraceSeconds: 100_000 },
    "stopGraceSeconds: must be at most 3600, got 100000",
  ),
  bad(
    "a capability that bots do not get, and a schedule",
    { _id: "bad-rights", image, schedule: "* * * * *", security: { capabilities: ["SYS_ADMIN"] } },
    "security.capabilities[0]: must be one of",
  ),
  bad("an _id that names nobody", { _id: 42, image }, "_id: must be a string or an ObjectId"),
];
