/** Which URLs a document may name as the place where trust comes from. */

const shape = /^https?:\/\/[^\s/?#@\\]+(\/[^\s?#\\]*)?$/;

/**
 * What is wrong with the URL, as the end of a sentence that begins with the field's name; undefined where nothing is.
 * Never echoes the URL, which may hold a password.
 */
export function trustedUrlProblem(text: string): string | undefined {
  if (!/^https?:\/\//.test(text)) return 'must be an https:// URL, written in lower case';
  if (text.includes('?') || text.includes('#'))
    return 'must have no query and no fragment: leave out "?", "#" and what follows';
  const authority = text.slice(text.indexOf('//') + 2).split('/')[0] ?? '';
  if (authority.includes('@')) return 'must hold no user name or password before the host';
  if (!shape.test(text) || !URL.canParse(text))
    return 'must be a URL with a host and no spaces or backslashes';
  if (text.startsWith('http://') && !isLoopbackHost(new URL(text).hostname)) {
    return 'must be https: http is accepted on a loopback address only';
  }
  return undefined;
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Whether both name one place, however they are spelt; only ever used to refuse, never to accept. */
export function isSamePlace(a: string, b: string): boolean {
  if (a === b) return true;
  if (!URL.canParse(a) || !URL.canParse(b)) return false;
  return new URL(a).href.replace(/\/+$/, '') === new URL(b).href.replace(/\/+$/, '');
}
