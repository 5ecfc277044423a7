/** What an Issuer document says about its tokens' claims: what they must be, and whose identity they make. */
import { createHash } from 'node:crypto';
import { refuse } from '../core/error.ts';
import { type Identity, proveIdentity } from '../core/identity.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { readClaim } from '../core/policy/claim-path.ts';
import { conditionBudget } from '../core/policy/condition.ts';
import type { TrustedIssuer } from '../core/policy/snapshot.ts';
import { parseSpiffeId } from '../core/spiffe-id.ts';
import { echo, echoAll } from './echo.ts';
import type { CompactJws } from './jwt.ts';
import { stringClaim } from './token-claims.ts';

/**
 * Every path must have one of its values, of the same type (`"1"` is not 1). A list meets a requirement when one of its
 * members does: that is what a list of groups or contexts says. It is as safe as the claim is: a list to which a caller
 * can add proves nothing, and nor does a string that a caller can set. Two issuers whose requirements one list meets are
 * ambiguous, and refused.
 */
export function checkRequirements(claims: JsonObject, requirements: TrustedIssuer['require']): void {
  for (const { path, values } of requirements) {
    const reading = readClaim(claims, path);
    if (!reading.found) {
      if (reading.ambiguous) refuse('credential.claim_malformed', `${path} has two readings`);
      refuse('credential.requirement_unmet', `${path}: expected ${echoAll(values)}, actual nothing`);
    }
    const { value } = reading;
    const actual: readonly Json[] = Array.isArray(value) ? value : [value];
    if (!actual.some((member) => values.some((accepted) => accepted === member))) {
      refuse('credential.requirement_unmet', `${path}: expected ${echoAll(values)}, actual ${echo(value)}`);
    }
  }
}

/** Only for claims that are verified: a condition may cost more than a comparison. */
export function checkCondition(claims: JsonObject, { condition }: TrustedIssuer): void {
  const verdict = condition?.evaluate({ claims }, conditionBudget());
  if (condition === undefined || verdict === undefined || verdict.holds) return;
  refuse(
    'credential.condition_unmet',
    `condition ${condition.source.slice(0, 256)}: ${verdict.why ?? 'false'}`,
  );
}

/**
 * The one issuer that vouches for a credential. One that is only observed is no other's rival, so that it can be written
 * beside one in force.
 */
export function soleIssuer(holding: readonly TrustedIssuer[]): TrustedIssuer | undefined {
  const inForce = holding.filter(({ isObserved }) => !isObserved);
  const [issuer, second] = inForce.length > 0 ? inForce : holding;
  if (second !== undefined) {
    refuse('credential.ambiguous_issuer', `issuers ${echoAll(holding.map(({ name }) => name))}`);
  }
  return issuer;
}

/** The claims as a document's templates and conditions read them: the token's, and what its platform derives from them. */
export function readableClaims(claims: JsonObject, { platform }: TrustedIssuer): JsonObject {
  return platform.deriveClaims === undefined ? claims : { ...claims, ...platform.deriveClaims(claims) };
}

/** A platform token after its last check but the mapping to a SPIFFE ID. */
export interface PlatformProof {
  readonly issuer: TrustedIssuer;
  /** Where the credential is no JWT, `signingInput` is text that is unique to it. */
  readonly jws: Pick<CompactJws, 'claims' | 'signingInput'>;
  readonly subject: string;
  readonly audiences: readonly string[];
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

/** The identity in our own trust domain. Throws `credential.subject_unmappable` where the claims give no legal path. */
export function identityFrom(proof: PlatformProof, trustDomain: string): Identity {
  const { issuer, jws, subject, audiences, expiresAt } = proof;
  const claims = readableClaims(jws.claims, issuer);
  const path = issuer.subject.render(issuer.platform.subjectClaims?.(claims) ?? claims);
  const spiffeId = path === undefined ? undefined : parseSpiffeId(`spiffe://${trustDomain}${path}`);
  if (spiffeId === undefined) {
    const read = issuer.subject.claimPaths.map((claimPath) => `${claimPath} ${describe(claims, claimPath)}`);
    refuse('credential.subject_unmappable', `${issuer.subject.source}: ${read.slice(0, 4).join(', ')}`);
  }
  return proveIdentity({
    spiffeId,
    credentialKind: 'platform-token',
    issuer: issuer.name,
    claims,
    auditClaims: pickClaims(claims, issuer.auditClaims),
    audiences,
    clientIds: [spiffeId, subject],
    expiresAt,
    ...(issuer.once || issuer.platform.isOneTime === true ? { onceKey: onceKey(issuer.name, jws) } : {}),
  });
}

function describe(claims: JsonObject, path: string): string {
  const reading = readClaim(claims, path);
  if (reading.found) return echo(reading.value);
  return reading.ambiguous ? 'has two readings' : 'is missing';
}

function pickClaims(claims: JsonObject, paths: readonly string[]): JsonObject {
  return Object.fromEntries(
    paths.flatMap((path) => {
      const reading = readClaim(claims, path);
      return reading.found ? [[path, reading.value]] : [];
    }),
  );
}

/**
 * One key for one token, SHA-256 in base64url. Never by the signature, which anyone can alter without making it invalid
 * (ECDSA), and never by `jti` alone, which is unique within its issuer only.
 */
function onceKey(issuerName: string, { claims, signingInput }: PlatformProof['jws']): string {
  const jti = stringClaim(claims, 'jti');
  const text = JSON.stringify(
    jti === undefined ? [issuerName, 'token', signingInput] : [issuerName, 'jti', jti],
  );
  return createHash('sha256').update(text).digest('base64url');
}
