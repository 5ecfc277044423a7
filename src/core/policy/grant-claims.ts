/** Checks the claims that a Grant adds: names that are nobody else's, paths that can be read, sizes that fit. */
import { maxAddedClaimsBytes, sizeOfClaims } from '../claims-size.ts';
import { isClaimPath } from './claim-path.ts';
import type { GrantDocument } from './document.ts';
import { quote } from './nearest-word.ts';
import type { FieldPath } from './source.ts';

/** Letters, digits and what URLs need; not `__`, where JavaScript keeps its own names. */
const namePattern = /^(?!__)[A-Za-z0-9_.:/#-]{1,256}$/;

/**
 * What a token says by the exchange alone: RFC 7519 §4.1, RFC 9068 §2.2, RFC 7800 §3.1, RFC 8693 §4, OpenID Connect
 * Core §2, RFC 8417 §2.2, RFC 9396 §9.1. `roles`, `groups` and `entitlements` (RFC 9068 §2.2.3.1) are an admin's to give.
 */
const reservedNames = new Set(
  (
    'iss sub aud exp nbf iat jti client_id scope cnf act may_act azp auth_time acr amr nonce at_hash c_hash s_hash ' +
    'sid sub_id sub_jwk events toe txn authorization_details token_type active'
  ).split(' '),
);

export function checkGrantClaims(
  { set, copy }: GrantDocument['spec']['claims'],
  report: (path: FieldPath, message: string) => void,
): void {
  for (const [field, names] of [
    ['set', Object.keys(set)],
    ['copy', Object.keys(copy)],
  ] as const) {
    for (const name of names) {
      const at: FieldPath = ['claims', field, name];
      if (reservedNames.has(name))
        report(at, `${quote(name)} is a claim that only the exchange itself gives`);
      else if (!namePattern.test(name)) {
        report(
          at,
          'a claim name is 1 to 256 letters, digits, "_", ".", ":", "/", "#" and "-", not beginning "__"',
        );
      }
    }
  }
  for (const [name, path] of Object.entries(copy)) {
    if (!isClaimPath(path))
      report(['claims', 'copy', name], 'must be the path of a claim: repository, or a.b');
    if (Object.hasOwn(set, name)) report(['claims', 'copy', name], `${quote(name)} is set by this grant too`);
  }
  if (sizeOfClaims(set) > maxAddedClaimsBytes) {
    report(['claims', 'set'], `is larger than the ${maxAddedClaimsBytes} bytes that a token may carry`);
  }
}
