const MAX_NAME = 255;
const component = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*$/;
const host =
  /^(?:(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const tag = /^\w[\w.-]{0,127}$/;
const digest = /^sha256:[0-9a-f]{64}$/;

/** What is wrong with an image's name by the grammar that registries share (host/path:tag@digest); undefined: nothing. */
export function imageFault(image: string): string | undefined {
  if (image === "") return "must not be empty";
  if (image.length > 512) return "must have at most 512 characters";
  if (/\s/.test(image)) return "must not contain spaces";
  if (image.includes("://")) return "must not start with a scheme";
  const [named = "", digestText, ...rest] = image.split("@");
  if (rest.length > 0 || (digestText !== undefined && !digest.test(digestText)))
    return "must have the digest form @sha256: and 64 hexadecimal digits";
  // A colon after the last slash starts the tag; one before it belongs to the registry's port.
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const [name, tagText] = colon < 0 ? [named, undefined] : [named.slice(0, colon), named.slice(colon + 1)];
  if (tagText !== undefined && !tag.test(tagText)) return "must have a tag of letters, digits, _, . and - after the colon";
  if (name.length > MAX_NAME) return `must have a name of at most ${MAX_NAME} characters`;
  const parts = name.split("/");
  const first = parts[0] ?? "";
  const hasHost = parts.length > 1 && (/[.:[]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  if (hasHost && !host.test(first)) return "must start with a registry's host name";
  const path = hasHost ? parts.slice(1) : parts;
  if (path.every((part) => component.test(part))) return undefined;
  return path.some((part) => part !== part.toLowerCase())
    ? "must be in lower case"
    : "must be a name such as registry.example.com/team/bot:1.2";
}
