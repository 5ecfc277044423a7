/** Reads the `scope` parameter (RFC 6749 §3.3): scope-tokens with one space between them. */
import { refuse } from './error.ts';

const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/;
export const maxScopes = 100;
const maxTokenLength = 256;
const maxLength = maxScopes * (maxTokenLength + 1);

/**
 * The scopes that are asked for, each once, in the order of the text; undefined where there is no text, since an empty
 * parameter counts as omitted (§3.1). Throws an `OAuthError` `request.scope_malformed`.
 */
export function parseScope(text: string | undefined): readonly string[] | undefined {
  if (text === undefined || text === '') return undefined;
  if (text.length > maxLength) refuse('request.scope_malformed', 'the scope parameter is too long');
  const scopes = text.split(' ');
  if (!scopes.every((scope) => scope.length <= maxTokenLength && scopeToken.test(scope))) {
    refuse('request.scope_malformed', 'scopes are printable ASCII, with one space between them');
  }
  if (scopes.length > maxScopes) refuse('request.scope_malformed', `more than ${maxScopes} scopes`);
  return [...new Set(scopes)];
}
