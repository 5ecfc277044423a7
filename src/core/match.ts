/** Whether a grant's subject covers an identity; the rule that the index must agree with. */
import type { IdentityFields } from './identity.ts';
import type { Subject } from './policy/snapshot.ts';
import { trustDomainOf } from './spiffe-id.ts';

export function matchesSubject(subject: Subject, identity: IdentityFields): boolean {
  if ('spiffeId' in subject) return identity.spiffeId === subject.spiffeId;
  if ('prefix' in subject) return isUnder(identity.spiffeId, subject.prefix);
  if ('pattern' in subject) return subject.compiled.covers(identity.spiffeId);
  if ('trustDomain' in subject) return trustDomainOf(identity.spiffeId) === subject.trustDomain;
  return issuerNameOf(identity) === subject.issuer;
}

/** Whole segments, the prefix's own ID included: `…/a` covers `…/a` and `…/a/b`, never `…/ab`. */
function isUnder(spiffeId: string, prefix: string): boolean {
  return (
    spiffeId.startsWith(prefix) && (spiffeId.length === prefix.length || spiffeId[prefix.length] === '/')
  );
}

/** The Issuer document behind the identity. An SVID has none, even where a TrustDomain shares an Issuer's name. */
export function issuerNameOf(identity: IdentityFields): string | undefined {
  return identity.credentialKind === 'platform-token' ? identity.issuer : undefined;
}
