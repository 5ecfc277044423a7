/** Which identity claims would give if they were signed: evaluated as the verification does after the signature. */
import { refuse } from '../core/error.ts';
import type { IdentityFields } from '../core/identity.ts';
import type { JsonObject } from '../core/json.ts';
import type { PolicySnapshot, TrustedIssuer } from '../core/policy/snapshot.ts';
import { parseSpiffeId, type SpiffeId, trustDomainOf } from '../core/spiffe-id.ts';
import type { Suppose, Supposed } from '../core/supposed.ts';
import { checkIssuerUrl } from './check-issuer.ts';
import { echo } from './echo.ts';
import { checkCondition, checkRequirements, identityFrom, readableClaims } from './issuer-claims.ts';
import { claimsRefusal, conditionRefusal, identityOf } from './platform-token.ts';
import { checkAudience, checkLifetime, checkTimes, readAudiences, stringClaim } from './token-claims.ts';

export interface SupposeContext {
  /** Our own issuer identifier. */
  readonly issuer: string;
  readonly trustDomain: string;
}

/** How long a credential of a form of its own is supposed to last yet. */
const proofLifetimeSeconds = 3600;

/** The result is typed as unproven, so that it can be decided on and never be minted for. */
export function createSuppose(context: SupposeContext): Suppose {
  return (supposed, policy, nowMillis) =>
    'issuer' in supposed
      ? fromIssuer(supposed.claims, findIssuer(supposed.issuer, policy), nowMillis, context)
      : fromSpiffeId(supposed, policy, nowMillis, context);
}

function findIssuer(name: string, policy: PolicySnapshot): TrustedIssuer {
  const found = [...policy.issuers.values()].flat().find((issuer) => issuer.name === name);
  return found ?? refuse('credential.unknown_issuer', `there is no Issuer document named ${echo(name)}`);
}

function fromIssuer(
  given: JsonObject,
  issuer: TrustedIssuer,
  nowMillis: number,
  context: SupposeContext,
): IdentityFields {
  const nowSeconds = Math.floor(nowMillis / 1000);
  if (issuer.platform.proof !== undefined) {
    checkRequirements(given, issuer.require);
    checkCondition(readableClaims(given, issuer), issuer);
    const jws = { claims: given, signingInput: '' };
    const expiresAt = nowSeconds + proofLifetimeSeconds;
    const proof = {
      issuer: { ...issuer, once: true },
      jws,
      subject: '',
      audiences: [context.issuer],
      expiresAt,
    };
    return identityFrom(proof, context.trustDomain);
  }
  const claims = withDefaults(given, issuer, nowSeconds);
  checkIssuerUrl(claims, issuer);
  const subject = stringClaim(claims, 'sub');
  if (subject === '') refuse('credential.claim_missing', 'sub');
  if (subject !== undefined && /^spiffe:/i.test(subject)) {
    refuse('credential.unknown_trust_domain', 'sub is a SPIFFE ID, for which no Issuer speaks');
  }
  const audiences = readAudiences(claims);
  const refusal = claimsRefusal({ claims }, issuer, audiences) ?? conditionRefusal({ claims }, issuer);
  if (refusal !== undefined) throw refusal;
  const jws = { claims, signingInput: '' };
  return identityOf({ issuer, jws, subject: subject ?? '', audiences }, 'subject_token', nowMillis, context);
}

/** What each token of the issuer holds and says nothing of the workload; `sub` says who it is, so it is not made up. */
function withDefaults(given: JsonObject, issuer: TrustedIssuer, nowSeconds: number): JsonObject {
  const issuedAt = typeof given.iat === 'number' ? given.iat : nowSeconds;
  return {
    iss: issuer.issuerUrl,
    aud: issuer.audiences[0] ?? '',
    iat: issuedAt,
    exp: issuedAt + issuer.platform.maxTokenLifetimeSeconds,
    jti: 'supposed',
    ...given,
  };
}

function fromSpiffeId(
  { spiffeId: text, claims: given = {} }: Extract<Supposed, { spiffeId: string }>,
  policy: PolicySnapshot,
  nowMillis: number,
  { trustDomain: ownTrustDomain }: SupposeContext,
): IdentityFields {
  const spiffeId = parseSpiffeId(text) ?? refuse('credential.spiffe_id_invalid', echo(text));
  const name = trustDomainOf(spiffeId);
  const nowSeconds = Math.floor(nowMillis / 1000);
  if (name === ownTrustDomain) {
    const issuer = issuerBehind(spiffeId, policy);
    const { expiresAt } = checkTimes(
      { exp: nowSeconds + issuer.platform.maxTokenLifetimeSeconds, ...given },
      nowMillis,
    );
    return identityFields(spiffeId, given, expiresAt, {
      credentialKind: 'platform-token',
      issuer: issuer.name,
    });
  }
  const domain =
    policy.trustDomains.get(name) ?? refuse('credential.unknown_trust_domain', `trust domain ${echo(name)}`);
  const lifetimeSeconds = domain.maxSvidLifetimeSeconds;
  const defaults = { aud: domain.audiences[0] ?? '', iat: nowSeconds, exp: nowSeconds + lifetimeSeconds };
  const claims = { ...defaults, sub: spiffeId, ...given };
  if (claims.sub !== spiffeId) refuse('credential.claim_malformed', `sub is not ${echo(spiffeId)}`);
  const times = checkTimes(claims, nowMillis);
  checkLifetime(times, lifetimeSeconds, nowMillis);
  checkAudience(readAudiences(claims), domain.audiences);
  return identityFields(spiffeId, claims, times.expiresAt, { credentialKind: 'jwt-svid', trustDomain: name });
}

/** An ID of our own trust domain lies under the literal segments of one issuer's template; under none, nobody can have it. */
function issuerBehind(spiffeId: SpiffeId, policy: PolicySnapshot): TrustedIssuer {
  const path = spiffeId.slice(spiffeId.indexOf('/', 'spiffe://'.length));
  const found = [...policy.issuers.values()]
    .flat()
    .find(({ subject }) => path.startsWith(`/${subject.leadingSegments.join('/')}/`));
  return found ?? refuse('credential.unknown_issuer', `no Issuer's subject template gives ${echo(spiffeId)}`);
}

function identityFields(
  spiffeId: SpiffeId,
  claims: JsonObject,
  expiresAt: number,
  source: Pick<IdentityFields, 'credentialKind' | 'issuer' | 'trustDomain'>,
): IdentityFields {
  return {
    spiffeId,
    claims,
    auditClaims: {},
    audiences: [],
    clientIds: [spiffeId],
    expiresAt: Math.floor(expiresAt),
    ...source,
  };
}
