/** Verifies X.509-SVIDs (SPIFFE X509-SVID §2–§5) with the roots of the trust domain that the leaf's URI names, and no other. */
import { hash } from 'node:crypto';
import { OAuthError, type Reason, refuse } from '../core/error.ts';
import { type Identity, proveIdentity } from '../core/identity.ts';
import type { PolicySnapshot } from '../core/policy/snapshot.ts';
import { parseSpiffeId, trustDomainOf } from '../core/spiffe-id.ts';
import { type Certificate, readCertificate } from './certificate.ts';
import { maxPresentedCertificates, validatePath } from './certificate-path.ts';
import { echo } from './echo.ts';
import type { KeySets, KeySource } from './jwks.ts';

export interface X509SvidContext {
  readonly keySets: KeySets;
  /** Our own trust domain, for which nobody else vouches. */
  readonly trustDomain: string;
}

/**
 * The identity of a chain in DER, leaf first, whose private key the caller has shown to hold (in the TLS handshake, ours or
 * a trusted hop's). Throws an `OAuthError` whose reason says which check failed.
 */
export async function verifyX509Svid(
  chain: readonly Uint8Array[],
  policy: PolicySnapshot,
  nowMillis: number,
  { keySets, trustDomain: ownTrustDomain }: X509SvidContext,
): Promise<Identity> {
  const certificates = readChain(chain);
  const [leaf] = certificates;
  const [uri, second] = leaf.uris;
  if (uri === undefined || second !== undefined) {
    refuse('credential.certificate_uri_count', `expected one URI, actual ${leaf.uris.length}`); // X509-SVID §2
  }
  const spiffeId = parseSpiffeId(uri) ?? refuse('credential.spiffe_id_invalid', `URI ${echo(uri)}`);
  const name = trustDomainOf(spiffeId);
  const domain = name === ownTrustDomain ? undefined : policy.trustDomains.get(name);
  if (domain === undefined) refuse('credential.unknown_trust_domain', `trust domain ${echo(name)}`);
  await validateWith(certificates, keySets.bundleFor(domain), nowMillis);
  return proveIdentity({
    spiffeId,
    credentialKind: 'x509-svid',
    trustDomain: domain.name,
    claims: { sub: spiffeId },
    auditClaims: {},
    audiences: [],
    clientIds: [spiffeId],
    expiresAt: Math.floor(leaf.notAfter / 1000),
  });
}

function readChain(chain: readonly Uint8Array[]): readonly [Certificate, ...Certificate[]] {
  if (chain.length > maxPresentedCertificates) {
    refuse(
      'credential.certificate_chain_too_long',
      `expected at most ${maxPresentedCertificates}, actual ${chain.length}`,
    );
  }
  const [leaf, ...others] = chain.map((der, index) => {
    try {
      return readCertificate(der);
    } catch (cause) {
      return refuse('credential.certificate_malformed', `certificate ${index}`, cause);
    }
  });
  return leaf === undefined
    ? refuse('credential.certificate_malformed', 'no certificate')
    : [leaf, ...others];
}

/** What a new root looks like to us before we have it; where it has the name of an old one, like a wrong signature. */
const mayBeNews: readonly Reason[] = [
  'credential.certificate_untrusted',
  'credential.certificate_signature_invalid',
];

/** A root that was published since the last fetch is looked for as an unknown `kid` is: at once, then once a minute. */
async function validateWith(
  chain: readonly [Certificate, ...Certificate[]],
  source: KeySource,
  nowMillis: number,
): Promise<void> {
  const inForce = await source.keys();
  try {
    validatePath(chain, inForce.roots ?? [], nowMillis);
  } catch (error) {
    if (!(error instanceof OAuthError) || !mayBeNews.includes(error.reason)) throw error;
    const issuer = hash('sha256', chain.at(-1)?.issuer ?? '', 'base64url');
    const later = await source.keysAfterMiss(`x509 ${issuer}`);
    if (later === inForce) throw error;
    validatePath(chain, later.roots ?? [], nowMillis);
  }
}
