/** Reads a stream of JSON, one value a line, with the line itself. The modem's `followProgress` is not used: it keeps
 *  every value, and a line that is no JSON throws out of its event handler, where nobody can catch it.
 *  @throws {SyntaxError} */
export async function* readJsonLines(body: AsyncIterable<Buffer>): AsyncGenerator<{ readonly line: string; readonly value: unknown }> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield { line, value: JSON.parse(line) };
  }
  if (rest.trim() !== "") yield { line: rest, value: JSON.parse(rest) };
}
