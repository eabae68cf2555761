import { z } from "zod";
import { MAX_BOT_ID_LENGTH } from "../core/ids.ts";
import { botSchema } from "./bot-schema.ts";

/** The JSON Schema of a bot's document, for editors. Stricter than the runtime in one point: a field that nobody reads
 *  is an error here and a warning there. */
export function botJsonSchema(): Record<string, unknown> {
  const { $schema, properties, required, ...rest } = z.toJSONSchema(botSchema, {
    io: "input",
    override: ({ jsonSchema }) => {
      if (jsonSchema.properties !== undefined) jsonSchema.additionalProperties = false;
    },
  });
  const id = {
    description: "The bot's name. In MongoDB an ObjectId will do as well: the name is then its hexadecimal form.",
    oneOf: [
      { type: "string", minLength: 1, maxLength: MAX_BOT_ID_LENGTH },
      {
        type: "object",
        properties: { $oid: { type: "string", pattern: "^[0-9a-f]{24}$" } },
        required: ["$oid"],
        additionalProperties: false,
      },
    ],
  };
  return {
    $schema,
    title: "Bot",
    description: "One bot of the Bot Runner: a document of the bots collection.",
    ...rest,
    properties: { _id: id, ...properties },
    required: ["_id", ...(required ?? [])],
  };
}
