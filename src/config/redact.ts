const secretOptions = /([?&](?:authMechanismProperties|tlsCertificateKeyFilePassword|proxyPassword)=)[^&]*/gi;

/** A connection string that people may read: the password and secret options are gone, the rest stands. What does not
 *  look like a connection string may be anything, so of a text with `:` or `@` only the scheme stays. */
export function redactMongoUri(uri: string): string {
  const [, scheme, rest] = /^(mongodb(?:\+srv)?:\/\/)(.*)$/s.exec(uri) ?? [];
  if (scheme === undefined || rest === undefined) return /[:@]/.test(uri) ? `${/^[a-z][a-z0-9+.-]*:\/\//i.exec(uri)?.[0] ?? ""}***` : uri;
  // The last @ ends the credentials: a password with an unescaped @ must not show its tail.
  const at = rest.lastIndexOf("@");
  const user = at < 0 ? "" : (rest.slice(0, at).split(":", 1)[0] ?? "");
  const credentials = at < 0 ? "" : rest.slice(0, at).includes(":") ? `${user}:***@` : `${user}@`;
  return `${scheme}${credentials}${rest.slice(at + 1)}`.replace(secretOptions, "$1***");
}
