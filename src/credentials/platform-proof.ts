/** Verifies credentials that are no JWT: their platform proves them, and an Issuer document says whose are accepted. */
import type { Credential } from '../core/credential.ts';
import { OAuthError, refuse } from '../core/error.ts';
import type { Identity } from '../core/identity.ts';
import type { JsonObject } from '../core/json.ts';
import type { Platform } from '../core/platform.ts';
import type { PolicySnapshot, TrustedIssuer } from '../core/policy/snapshot.ts';
import type { CallPlatform } from '../core/ports.ts';
import {
  checkCondition,
  checkRequirements,
  identityFrom,
  readableClaims,
  soleIssuer,
} from './issuer-claims.ts';
import { readSignedDocument } from './signed-document.ts';

export interface PlatformProofContext {
  /** Our own issuer identifier. */
  readonly issuer: string;
  readonly trustDomain: string;
  readonly callPlatform: CallPlatform;
}

/** Throws an `OAuthError` whose reason says which check failed. Nobody is called for a platform without a document. */
export async function verifyPlatformProof(
  text: string,
  platform: Platform,
  { lane, declaredType }: Credential,
  policy: PolicySnapshot,
  nowMillis: number,
  { issuer: ownIssuer, trustDomain, callPlatform }: PlatformProofContext,
): Promise<Identity> {
  const { name, proof } = platform;
  if (proof === undefined) return refuse('credential.malformed');
  if (lane !== 'subject_token' || (declaredType !== 'any' && declaredType !== proof.declaredType)) {
    refuse('credential.type_mismatch', `${name}: only a subject_token declared ${proof.declaredType}`);
  }
  const registered = policy.issuers.get(proof.issuerUrl) ?? [];
  const issuers = registered.filter((issuer) => issuer.platform.name === name);
  if (issuers.length === 0) refuse('credential.unknown_issuer', `no Issuer document of platform ${name}`);

  const proven = await proof.prove(text, { issuer: ownIssuer, nowMillis, callPlatform, readSignedDocument });

  const issuer = findIssuer(proven.claims, issuers);
  // Each document's own certificates alone: one account's must never vouch for another's.
  proven.confirm?.({
    regionCertificates: issuer.keys.regionCertificates ?? {},
    maxTokenAgeSeconds: issuer.maxTokenAgeSeconds,
  });
  const jws = { claims: proven.claims, signingInput: proven.uniqueText };
  const { subject, expiresAt } = proven;
  return identityFrom(
    { issuer: { ...issuer, once: true }, jws, subject, audiences: [ownIssuer], expiresAt },
    trustDomain,
  );
}

function findIssuer(claims: JsonObject, issuers: readonly TrustedIssuer[]): TrustedIssuer {
  const holding: TrustedIssuer[] = [];
  let refusal: unknown;
  for (const issuer of issuers) {
    try {
      checkRequirements(claims, issuer.require);
      checkCondition(readableClaims(claims, issuer), issuer);
      holding.push(issuer);
    } catch (error) {
      refusal = error;
    }
  }
  const issuer = soleIssuer(holding);
  if (issuer === undefined) throw refusal ?? new OAuthError('credential.unknown_issuer');
  return issuer;
}
