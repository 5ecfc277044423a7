/** `htu` of a DPoP proof (RFC 9449 §4.3): the same URL in two spellings is one URL, and two URLs are never one. */

const urlCharacters = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/; // RFC 3986 §2: none that a lenient reader drops or turns
const beginning = /^https?:\/\/(?<host>\[[0-9a-f:.]+\]|[^:/?#@%[\]]+)(?::[0-9]+)?(?=[/?#]|$)/i; // no user, no escapes
const maxLength = 2048;

/**
 * The URL without query and fragment, after the normalisations of RFC 3986 §6.2.2 and §6.2.3 (case, escapes, dot segments,
 * default port); undefined for what is no absolute http or https URL, or has a host that readers could take for another.
 */
export function normalProofUrl(text: string): string | undefined {
  if (text.length > maxLength || !urlCharacters.test(text)) return undefined;
  const host = beginning.exec(text)?.groups?.host;
  if (host === undefined || !URL.canParse(text)) return undefined;
  const { origin, hostname, pathname } = new URL(text);
  return hostname === host.toLowerCase() ? `${origin}${withNormalEscapes(pathname)}` : undefined;
}

/** Escapes of characters that need none are resolved, all others are written in capitals. */
function withNormalEscapes(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escaped.toUpperCase();
  });
}
