/** What a person must mend before TLS can work, by the codes of Node and OpenSSL. An expired certificate is not among
 *  them: whoever runs the server renews it, and we need not be started again for that. */
const MENDS: readonly { readonly codes: readonly string[]; readonly mend: string }[] = [
  {
    codes: [
      "SELF_SIGNED_CERT_IN_CHAIN",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "UNABLE_TO_GET_ISSUER_CERT",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    ],
    mend: "MONGO_TLS_CA_FILE: does not vouch for the server's certificate: name the PEM file of the authority that signed it",
  },
  {
    codes: ["ERR_TLS_CERT_ALTNAME_INVALID"],
    mend: "MONGO_URI: names a host that does not stand in the server's certificate: use a name that does",
  },
  {
    codes: [
      "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
      "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
      "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
      "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN",
      "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
    ],
    mend: "MONGO_TLS_CERT_FILE: the server wants a client certificate that it trusts: name a PEM file with such a certificate and its key",
  },
  {
    codes: ["ERR_OSSL_PEM_NO_START_LINE", "ERR_OSSL_UNSUPPORTED"],
    mend: "MONGO_TLS_CERT_FILE: does not hold a certificate and its key: name a PEM file with both",
  },
];

/** The sentence that says what to mend; undefined when it is not TLS that keeps us from the server. */
export function tlsMend(error: unknown): string | undefined {
  for (let fault = error; fault instanceof Error; fault = fault.cause) {
    const { code } = fault as NodeJS.ErrnoException;
    const found = MENDS.find(({ codes }) => code !== undefined && codes.includes(code));
    if (found !== undefined) return found.mend;
  }
  return undefined;
}
