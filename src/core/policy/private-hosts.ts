/** The hosts that a document lets resolve to private addresses when keys are fetched from them. */
import type { FieldProblem } from './schema-sentences.ts';

const hostName = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/;
const ipv6Address = /^\[?[0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*\]?$/;

/** What is wrong with `allowPrivateHosts`; `isFetched` is false where the document holds its keys itself. */
export function privateHostsProblems(
  hosts: readonly string[] | undefined,
  isFetched: boolean,
): FieldProblem[] {
  if (hosts === undefined) return [];
  if (!isFetched) {
    const message = 'nothing is fetched where the keys stand in the document: leave it out';
    return [{ path: ['allowPrivateHosts'], message }];
  }
  return hosts.flatMap((host, index) => {
    if (hostName.test(host) || ipv6Address.test(host)) return [];
    const message = 'must be a host name or address alone, in lower case, without scheme, port or path';
    return [{ path: ['allowPrivateHosts', index], message }];
  });
}
