/** Checks the claims that a Grant adds: names that are nobody else's, paths that can be read, sizes that fit. */
import { isClaimName } from '../claim-name.ts';
import { maxAddedClaimsBytes, sizeOfClaims } from '../claims-size.ts';
import { isClaimPath } from './claim-path.ts';
import { problemsOfClaimSchema } from './claim-schema.ts';
import type { GrantDocument } from './document.ts';
import { quote } from './nearest-word.ts';
import { compileRequestedClaim, maxSchemasPerPolicy } from './requested-claim.ts';
import type { GrantClaims, RequestedClaim } from './snapshot.ts';
import type { FieldPath } from './source.ts';

type Report = (path: FieldPath, message: string) => void;

const maxRequestedNames = 32;

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

/** What a caller must never say of itself (RFC 9068 §2.2.3.1). */
const neverRequested = new Set(['roles', 'groups', 'entitlements']);

/** The claims of one grant, compiled. `schemas` are those of the policy's grants so far, by their JSON. */
export function compileGrantClaims(
  { set, copy, allowRequested }: GrantDocument['spec']['claims'],
  schemas: Map<string, RequestedClaim>,
  report: Report,
): GrantClaims {
  for (const [field, names] of [
    ['set', Object.keys(set)],
    ['copy', Object.keys(copy)],
    ['allowRequested', Object.keys(allowRequested)],
  ] as const) {
    for (const name of names) {
      const at: FieldPath = ['claims', field, name];
      if (reservedNames.has(name))
        report(at, `${quote(name)} is a claim that only the exchange itself gives`);
      else if (!isClaimName(name)) {
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
  for (const name of Object.keys(allowRequested)) {
    const at: FieldPath = ['claims', 'allowRequested', name];
    if (neverRequested.has(name)) report(at, `${quote(name)} is not a caller's to ask for: set or copy it`);
    if (Object.hasOwn(set, name) || Object.hasOwn(copy, name)) {
      report(at, `${quote(name)} is set or copied by this grant too`);
    }
  }
  return { set, copy, allowRequested: compileRequested(allowRequested, schemas, report) };
}

/** Of the many grants that let nobody ask. */
const nothing: ReadonlyMap<string, RequestedClaim> = new Map();

function compileRequested(
  schemaByName: GrantDocument['spec']['claims']['allowRequested'],
  schemas: Map<string, RequestedClaim>,
  report: Report,
): ReadonlyMap<string, RequestedClaim> {
  const entries = Object.entries(schemaByName);
  if (entries.length === 0) return nothing;
  if (entries.length > maxRequestedNames) {
    report(['claims', 'allowRequested'], `must hold at most ${maxRequestedNames} claims`);
    return nothing;
  }
  const compiled = new Map<string, RequestedClaim>();
  for (const [name, schema] of entries) {
    const at: FieldPath = ['claims', 'allowRequested', name];
    const text = JSON.stringify(schema);
    if (!schemas.has(text) && schemas.size >= maxSchemasPerPolicy) {
      report(
        at,
        `the policy holds more than ${maxSchemasPerPolicy} different schemas: let grants share them`,
      );
      continue;
    }
    const problems = schemas.has(text) ? [] : problemsOfClaimSchema(schema, text.length);
    for (const { path, message } of problems) report([...at, ...path], message);
    if (problems.length > 0) continue;
    const claim = schemas.get(text) ?? compileRequestedClaim(schema, text);
    schemas.set(text, claim);
    compiled.set(name, claim);
  }
  return compiled;
}
