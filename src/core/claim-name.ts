/** Names of claims that others than the exchange may add to a token. */

/** Letters, digits and what URLs need; not `__`, where JavaScript keeps its own names. */
const namePattern = /^(?!__)[A-Za-z0-9_.:/#-]{1,256}$/;

export function isClaimName(name: string): boolean {
  return namePattern.test(name);
}
