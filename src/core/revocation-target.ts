/** What an admin names to be revoked, as a revocation's target. */
import type { PolicySnapshot } from './policy/snapshot.ts';
import type { Revocation, RevocationKind } from './revocation.ts';
import { parseSpiffeId } from './spiffe-id.ts';

export type RevocationTarget = Pick<Revocation, 'kind' | 'target' | 'subjects'>;

const maxTargetLength = 512;

/**
 * The target, or the sentence that says why it is none. An issuer is a document's name, after `Issuer/` or `TrustDomain/`
 * where both have it; what it could give is read from its document as it stands.
 */
export function revocationTarget(
  kind: RevocationKind,
  name: string,
  policy: PolicySnapshot,
  isSigning: (kid: string) => boolean,
): RevocationTarget | string {
  if (kind === 'issuer') return issuerTarget(name, policy);
  if (kind === 'identity') {
    return parseSpiffeId(name) === undefined
      ? 'identity: must be a SPIFFE ID'
      : { kind, target: name, subjects: '' };
  }
  if (name.length > maxTargetLength || !/^[\x21-\x7e]+$/.test(name)) {
    return `${kind === 'token' ? 'jti' : 'key'}: must be at most ${maxTargetLength} printable ASCII characters without space`;
  }
  // Every token that it went on signing would be revoked already.
  if (kind === 'key' && isSigning(name)) return 'key: signs now, or will: rotate the keys first';
  return { kind, target: name, subjects: '' };
}

function issuerTarget(name: string, policy: PolicySnapshot): RevocationTarget | string {
  const issuers = [...policy.issuers.values()].flat().map((issuer) => ({
    kind: 'issuer' as const,
    target: `Issuer/${issuer.name}`,
    subjects: `spiffe://${policy.trustDomain}${issuer.subject.source}`,
  }));
  const trustDomains = [...policy.trustDomains.keys()].map((domain) => ({
    kind: 'issuer' as const,
    target: `TrustDomain/${domain}`,
    subjects: `spiffe://${domain}`,
  }));
  const wanted = name.includes('/') ? [name] : [`Issuer/${name}`, `TrustDomain/${name}`];
  const [found, another] = [...issuers, ...trustDomains].filter(({ target }) => wanted.includes(target));
  if (found === undefined) return 'issuer: the policy has no Issuer and no TrustDomain of that name';
  if (another !== undefined)
    return 'issuer: both kinds have that name: put Issuer/ or TrustDomain/ before it';
  return found;
}
