/** Verifies platform tokens: JWTs of registered issuers, several of which may share one `iss`. */
import type { Credential } from '../core/credential.ts';
import { OAuthError, type Reason, refuse } from '../core/error.ts';
import type { Identity } from '../core/identity.ts';
import type { PolicySnapshot, TrustedIssuer } from '../core/policy/snapshot.ts';
import type { CallPlatform, ReadTokenFile } from '../core/ports.ts';
import { echo, echoAll } from './echo.ts';
import {
  checkCondition,
  checkRequirements,
  identityFrom,
  type PlatformProof,
  readableClaims,
  soleIssuer,
} from './issuer-claims.ts';
import type { KeySets } from './jwks.ts';
import type { CompactJws } from './jwt.ts';
import { type TriedKeys, verifySignature } from './signature.ts';
import {
  checkAudience,
  checkForeignAudiences,
  checkLifetime,
  checkSoleAudience,
  checkTimes,
  readAudiences,
  stringClaim,
} from './token-claims.ts';

export interface PlatformTokenContext {
  readonly keySets: KeySets;
  /** Our own issuer identifier. */
  readonly issuer: string;
  readonly trustDomain: string;
  readonly callPlatform: CallPlatform;
  readonly readTokenFile: ReadTokenFile;
}

/** How far verification got: of several issuers' refusals, the one that got furthest says most. */
const distance: Partial<Record<Reason, number>> = {
  'credential.algorithm_refused': 1,
  'credential.key_unknown': 2,
  'credential.signature_invalid': 3,
  'credential.keys_unavailable': 4, // the token may well be this issuer's
  'credential.platform_unavailable': 4,
  'credential.audience_mismatch': 5,
  'credential.claim_malformed': 6,
  'credential.requirement_unmet': 6,
  'credential.condition_unmet': 7,
};

/** Throws an `OAuthError` whose reason says which check failed. */
export async function verifyPlatformToken(
  jws: CompactJws,
  subject: string,
  { lane }: Credential,
  policy: PolicySnapshot,
  nowMillis: number,
  context: PlatformTokenContext,
): Promise<Identity> {
  checkType(jws, lane);
  const issuers = registeredIssuers(jws, policy);
  const audiences = readAudiences(jws.claims);
  const issuer = await findIssuer(jws, issuers, audiences, context);

  const times = checkTimes(jws.claims, nowMillis);
  if (times.issuedAt === undefined) refuse('credential.claim_missing', 'iat');
  checkLifetime(times, issuer.platform.maxTokenLifetimeSeconds, nowMillis);
  checkAge(times.issuedAt, issuer.maxTokenAgeSeconds, nowMillis);
  if (lane === 'client_assertion') {
    checkSoleAudience(audiences);
    checkAudience(audiences, [context.issuer]); // RFC 7523bis §3: never the token endpoint
  }
  if (issuer.platform.isOneTime === true && !stringClaim(jws.claims, 'jti')) {
    refuse('credential.claim_missing', 'jti');
  }
  const refusal = issuer.platform.check?.(jws.claims);
  if (refusal !== undefined) refuse('credential.platform_refused', `${issuer.platform.name}: ${refusal}`);
  const proof: PlatformProof = { issuer, jws, subject, audiences, expiresAt: Math.floor(times.expiresAt) };
  return identityFrom(proof, context.trustDomain);
}

/** An allow-list, so that a token made for another protocol is never taken for a credential (RFC 8725 §3.11). */
export function checkType({ type }: CompactJws, lane: Credential['lane']): void {
  if (type === undefined || /^(application\/)?jwt$/i.test(type)) return;
  const isAssertion = lane === 'client_assertion' || lane === 'assertion';
  if (isAssertion && /^(application\/)?client-authentication\+jwt$/i.test(type)) return; // RFC 7523bis §3
  refuse('credential.type_refused', `typ: expected "JWT" or none, actual ${echo(type)}`);
}

function registeredIssuers({ claims }: CompactJws, policy: PolicySnapshot): readonly TrustedIssuer[] {
  const iss = stringClaim(claims, 'iss') ?? refuse('credential.claim_missing', 'iss');
  const issuers = (policy.issuers.get(iss) ?? []).filter(({ platform }) => !platform.proof);
  if (issuers.length > 0) return issuers;
  const sibling = iss.endsWith('/') ? iss.slice(0, -1) : `${iss}/`;
  const hint = policy.issuers.has(sibling) ? ', which differs from a registered one by its last slash' : '';
  return refuse('credential.unknown_issuer', `iss ${echo(iss)}${hint}`);
}

/**
 * The one issuer whose audiences, requirements and signature all hold. Claims are compared first, so that a hundred
 * organisations behind one `iss` cost one signature; nothing that they say counts until the signature does.
 */
async function findIssuer(
  jws: CompactJws,
  issuers: readonly TrustedIssuer[],
  audiences: readonly string[],
  context: PlatformTokenContext,
): Promise<TrustedIssuer> {
  const refusals = new Map<TrustedIssuer, OAuthError>();
  for (const issuer of issuers) {
    const refusal = claimsRefusal(jws, issuer, audiences);
    if (refusal !== undefined) refusals.set(issuer, refusal);
  }
  const fitting = issuers.filter((issuer) => !refusals.has(issuer));
  const holding: TrustedIssuer[] = [];
  const tried: TriedKeys = new Map();
  let furthest: OAuthError | undefined;
  for (const issuer of fitting.length > 0 ? fitting : issuers) {
    // Where the signature holds, what the claims lack is the news; where it does not, they are only hearsay.
    const refusal =
      (await signatureRefusal(jws, issuer, context, tried)) ??
      refusals.get(issuer) ??
      conditionRefusal(jws, issuer);
    if (refusal === undefined) holding.push(issuer);
    else furthest = furtherOf(furthest, refusal);
  }
  const issuer = soleIssuer(holding);
  if (issuer === undefined) throw furthest ?? new OAuthError('credential.unknown_issuer');
  return issuer;
}

/** Asked after the signature: nobody else's claims are worth what a condition may cost. */
export function conditionRefusal({ claims }: CompactJws, issuer: TrustedIssuer): OAuthError | undefined {
  try {
    checkCondition(readableClaims(claims, issuer), issuer);
    return undefined;
  } catch (error) {
    return refusalOf(error);
  }
}

export function claimsRefusal(
  { claims }: CompactJws,
  issuer: TrustedIssuer,
  audiences: readonly string[],
): OAuthError | undefined {
  try {
    checkForeignAudiences(audiences, issuer.platform.foreignAudiences ?? []);
    checkAudience(audiences, issuer.audiences);
    checkRequirements(readableClaims(claims, issuer), issuer.require);
    return undefined;
  } catch (error) {
    return refusalOf(error);
  }
}

export async function signatureRefusal(
  jws: CompactJws,
  issuer: TrustedIssuer,
  context: PlatformTokenContext,
  tried: TriedKeys,
): Promise<OAuthError | undefined> {
  const { name, algorithms, review } = issuer.platform;
  const { tokenReview, allowPrivateHosts } = issuer.keys;
  try {
    if (!algorithms.includes(jws.algorithm)) {
      const actual = echo(jws.algorithm);
      refuse(
        'credential.algorithm_refused',
        `alg: ${name} signs with ${echoAll(algorithms)}, actual ${actual}`,
      );
    }
    if (tokenReview === undefined) {
      await verifySignature(jws, context.keySets.keysFor(issuer), tried);
    } else if (review === undefined) {
      refuse('credential.key_unknown', `${name} reviews no tokens`);
    } else {
      const { token, claims } = jws;
      await review(
        { ...tokenReview, token, claims, audiences: issuer.audiences, allowPrivateHosts },
        context,
      );
    }
    return undefined;
  } catch (error) {
    return refusalOf(error);
  }
}

/** A refusal to weigh against others; anything else is a fault, and ends the verification. */
export function refusalOf(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error;
  throw error;
}

function furtherOf(one: OAuthError | undefined, other: OAuthError): OAuthError {
  return one !== undefined && (distance[one.reason] ?? 0) >= (distance[other.reason] ?? 0) ? one : other;
}

export function checkAge(issuedAt: number, maxAgeSeconds: number | undefined, nowMillis: number): void {
  const ageSeconds = nowMillis / 1000 - issuedAt;
  if (maxAgeSeconds === undefined || ageSeconds <= maxAgeSeconds) return;
  refuse(
    'credential.too_old',
    `age: expected at most ${maxAgeSeconds} s, actual ${Math.round(ageSeconds)} s`,
  );
}
