/** Whether a grant's subject covers an identity; the rule that the index must agree with. */
import type { IdentityFields } from './identity.ts';
import type { NamedSubject, Subject } from './policy/snapshot.ts';
import { type SpiffeId, trustDomainOf } from './spiffe-id.ts';

export function matchesSubject(subject: Subject, identity: IdentityFields): boolean {
  if ('issuer' in subject) return issuerNameOf(identity) === subject.issuer;
  return coversSpiffeId(subject, identity.spiffeId);
}

/** Of a subject that names IDs, not who vouches for them. */
export function coversSpiffeId(subject: NamedSubject, spiffeId: SpiffeId): boolean {
  if ('spiffeId' in subject) return spiffeId === subject.spiffeId;
  if ('prefix' in subject) return isUnder(spiffeId, subject.prefix);
  if ('pattern' in subject) return subject.compiled.covers(spiffeId);
  return trustDomainOf(spiffeId) === subject.trustDomain;
}

/** Whole segments, the prefix's own ID included: `…/a` covers `…/a` and `…/a/b`, never `…/ab`. */
function isUnder(spiffeId: string, prefix: string): boolean {
  return (
    spiffeId.startsWith(prefix) && (spiffeId.length === prefix.length || spiffeId[prefix.length] === '/')
  );
}

/** The Issuer document behind the identity. An SVID has none, even where a TrustDomain shares an Issuer's name. */
export function issuerNameOf(
  identity: Pick<IdentityFields, 'credentialKind' | 'issuer'>,
): string | undefined {
  return identity.credentialKind === 'platform-token' ? identity.issuer : undefined;
}
