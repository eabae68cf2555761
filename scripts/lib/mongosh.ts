// A stand-in for mongosh, which is no part of the tests' machine: it runs the same file with the few names that ours use. As in
// mongosh a command's answer is there when the call returns, and a refusal is thrown; so each command is a process of its own.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { createContext, runInContext } from "node:vm";

import { BSON, type Document, MongoClient } from "mongodb";

type Order = { readonly uri: string; readonly db: string; readonly command: Document };

/** Runs a script against a server. @returns the lines that it printed. @throws what it threw: a refused command, too */
export function runMongoScript(uri: string, file: string, env: Readonly<Record<string, string>> = {}): string[] {
  const printed: string[] = [];
  const open = (name: string): object => ({
    getSiblingDB: open,
    runCommand: (command: Document) => runCommand({ uri, db: name, command }),
  });
  const names = { process: { env }, db: open("test"), print: (...words: unknown[]) => printed.push(words.join(" ")) };
  runInContext(readFileSync(file, "utf8"), createContext(names), { filename: file });
  return printed;
}

function runCommand(order: Order): Document {
  const { error, status, stdout, stderr } = spawnSync(process.execPath, [import.meta.filename], {
    input: JSON.stringify(order),
    encoding: "utf8",
    timeout: 60_000,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(stderr.trim());
  return BSON.EJSON.parse(stdout) as Document;
}

if (import.meta.main) {
  const { uri, db, command } = JSON.parse(await text(process.stdin)) as Order;
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 10_000 });
  try {
    console.log(BSON.EJSON.stringify(await client.db(db).command(command)));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  } finally {
    await client.close();
  }
}
