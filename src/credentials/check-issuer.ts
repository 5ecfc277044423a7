/** Says of a sample token all that one Issuer document has against it; the verdict itself is `verify`'s and nobody else's. */
import type { Credential } from '../core/credential.ts';
import { type OAuthError, refuse } from '../core/error.ts';
import type { CheckIssuer, CheckStep, IssuerCheck } from '../core/issuer-check.ts';
import type { JsonObject } from '../core/json.ts';
import type { PolicySnapshot, TrustedIssuer } from '../core/policy/snapshot.ts';
import type { Verify } from '../core/ports.ts';
import { echo } from './echo.ts';
import { checkCondition, checkRequirements, identityFrom, readableClaims } from './issuer-claims.ts';
import { type CompactJws, readCompactJws } from './jwt.ts';
import {
  checkAge,
  checkType,
  claimsRefusal,
  conditionRefusal,
  type PlatformTokenContext,
  refusalOf,
  signatureRefusal,
} from './platform-token.ts';
import {
  checkAudience,
  checkForeignAudiences,
  checkLifetime,
  checkTimes,
  readAudiences,
  stringClaim,
} from './token-claims.ts';

type Step = readonly [name: string, run: () => unknown];

const clocksDiffer = "this server's clock and the issuer's differ";
/** Stands in for `exp` where another time is looked at alone. */
const endOfTime = 253_402_300_799;

export function createCheckIssuer(verify: Verify, context: PlatformTokenContext): CheckIssuer {
  return async (token, issuer, policy, nowMillis) => {
    if (issuer.platform.proof !== undefined) {
      const detail = `a credential of ${issuer.platform.name} can be proved once, so only an exchange can check it`;
      return { verdict: 'unchecked', detail, steps: [], alsoAcceptedBy: [] };
    }
    const credential: Credential = { lane: 'subject_token', token, declaredType: 'any' };
    const verdict = await verdictOf(credential, issuer, policy, nowMillis, verify);
    let jws: CompactJws;
    try {
      jws = readCompactJws(token.reveal());
    } catch (error) {
      return { ...verdict, steps: [failed('jwt', refusalOf(error))], alsoAcceptedBy: [] };
    }
    const steps: CheckStep[] = [{ name: 'jwt' }];
    for (const [name, run] of stepsOf(jws, issuer, credential, nowMillis, context)) {
      try {
        await run();
        steps.push({ name });
      } catch (error) {
        steps.push(failed(name, refusalOf(error)));
      }
    }
    return { ...verdict, steps, alsoAcceptedBy: await othersThatAccept(jws, issuer, policy, context) };
  };
}

/** What the exchange would say, and whether it is this document that says yes. */
async function verdictOf(
  credential: Credential,
  { name }: TrustedIssuer,
  policy: PolicySnapshot,
  nowMillis: number,
  verify: Verify,
): Promise<Pick<IssuerCheck, 'verdict' | 'reason' | 'detail' | 'spiffeId'>> {
  try {
    const identity = await verify(credential, policy, nowMillis);
    if (identity.issuer === name) return { verdict: 'accepted', spiffeId: identity.spiffeId };
    const acceptor = identity.issuer ?? identity.trustDomain;
    refuse('credential.unknown_issuer', `the token is accepted, but by ${echo(acceptor)}`);
  } catch (error) {
    const { reason, detail } = refusalOf(error);
    return { verdict: 'refused', reason, ...(detail === undefined ? {} : { detail }) };
  }
}

function stepsOf(
  jws: CompactJws,
  issuer: TrustedIssuer,
  credential: Credential,
  nowMillis: number,
  context: PlatformTokenContext,
): readonly Step[] {
  const { claims } = jws;
  const { platform } = issuer;
  const requirements = issuer.require.map((requirement): Step => {
    const check = () => checkRequirements(readableClaims(claims, issuer), [requirement]);
    return [`require ${requirement.path}`, check];
  });
  return [
    ['typ', () => checkType(jws, credential.lane)],
    ['iss', () => checkIssuerUrl(claims, issuer)],
    ['signature', () => throwIfRefused(signatureRefusal(jws, issuer, context, new Map()))],
    ['aud', () => checkAudiences(claims, issuer)],
    ['exp', () => checkTimes(pick(claims, 'exp'), nowMillis)],
    ['nbf', () => blamingClocks(() => checkTimes({ ...pick(claims, 'nbf'), exp: endOfTime }, nowMillis))],
    ['iat', () => blamingClocks(() => checkIssuedAt(claims, issuer, nowMillis))],
    ['lifetime', () => checkLifetimeAlone(claims, issuer, nowMillis)],
    ...requirements,
    ...(issuer.condition === undefined
      ? []
      : [['condition', () => checkCondition(readableClaims(claims, issuer), issuer)] as const]),
    ...(platform.isOneTime === true
      ? [['jti', () => stringClaim(claims, 'jti') || refuse('credential.claim_missing', 'jti')] as const]
      : []),
    ['platform', () => checkPlatform(claims, issuer)],
    ['subject', () => checkSubject(jws, issuer, context)],
  ];
}

function checkIssuerUrl(claims: JsonObject, { issuerUrl }: TrustedIssuer): void {
  const iss = stringClaim(claims, 'iss') ?? refuse('credential.claim_missing', 'iss');
  if (iss === issuerUrl) return;
  refuse('credential.unknown_issuer', `iss: expected ${echo(issuerUrl)}, actual ${echo(iss)}`);
}

function checkAudiences(claims: JsonObject, { platform, audiences: expected }: TrustedIssuer): void {
  const audiences = readAudiences(claims);
  checkForeignAudiences(audiences, platform.foreignAudiences ?? []);
  checkAudience(audiences, expected);
}

function checkIssuedAt(claims: JsonObject, { maxTokenAgeSeconds }: TrustedIssuer, nowMillis: number): void {
  const { issuedAt } = checkTimes({ ...pick(claims, 'iat'), exp: endOfTime }, nowMillis);
  if (issuedAt === undefined) refuse('credential.claim_missing', 'iat');
  checkAge(issuedAt, maxTokenAgeSeconds, nowMillis);
}

/** Says nothing where a time is missing or no number: that is the news of the step before. */
function checkLifetimeAlone({ exp, iat }: JsonObject, { platform }: TrustedIssuer, nowMillis: number): void {
  if (typeof exp !== 'number' || typeof iat !== 'number') return;
  if (exp <= iat) refuse('credential.claim_malformed', 'exp is not later than iat');
  checkLifetime({ expiresAt: exp, issuedAt: iat }, platform.maxTokenLifetimeSeconds, nowMillis);
}

function checkPlatform(claims: JsonObject, { platform }: TrustedIssuer): void {
  const refusal = platform.check?.(claims);
  if (refusal !== undefined) refuse('credential.platform_refused', `${platform.name}: ${refusal}`);
}

function checkSubject(jws: CompactJws, issuer: TrustedIssuer, { trustDomain }: PlatformTokenContext): void {
  const subject = stringClaim(jws.claims, 'sub') || refuse('credential.claim_missing', 'sub');
  if (/^spiffe:/i.test(subject)) {
    refuse(
      'credential.subject_unmappable',
      'sub is a SPIFFE ID, for which a TrustDomain speaks and no Issuer',
    );
  }
  identityFrom({ issuer, jws, subject, audiences: [], expiresAt: 0 }, trustDomain);
}

function blamingClocks(check: () => unknown): void {
  try {
    check();
  } catch (error) {
    const { reason, detail } = refusalOf(error);
    const isAhead = reason === 'credential.not_yet_valid' || reason === 'credential.issued_in_future';
    if (!isAhead) throw error;
    refuse(reason, `${detail}: ${clocksDiffer}`);
  }
}

async function othersThatAccept(
  jws: CompactJws,
  { name, issuerUrl }: TrustedIssuer,
  policy: PolicySnapshot,
  context: PlatformTokenContext,
): Promise<readonly string[]> {
  const names: string[] = [];
  if (jws.claims.iss !== issuerUrl) return names;
  for (const other of policy.issuers.get(issuerUrl) ?? []) {
    if (other.name === name || other.platform.proof !== undefined) continue;
    const refusal =
      audienceFault(jws, other) ??
      (await signatureRefusal(jws, other, context, new Map())) ??
      conditionRefusal(jws, other);
    if (refusal === undefined) names.push(other.name);
  }
  return names;
}

function audienceFault(jws: CompactJws, issuer: TrustedIssuer): OAuthError | undefined {
  try {
    return claimsRefusal(jws, issuer, readAudiences(jws.claims));
  } catch (error) {
    return refusalOf(error);
  }
}

async function throwIfRefused(refusal: Promise<OAuthError | undefined>): Promise<void> {
  const found = await refusal;
  if (found !== undefined) throw found;
}

function failed(name: string, { reason, detail }: OAuthError): CheckStep {
  return { name, reason, ...(detail === undefined ? {} : { detail }) };
}

function pick(claims: JsonObject, name: string): JsonObject {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  return value === undefined ? {} : { [name]: value };
}
