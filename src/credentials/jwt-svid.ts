/** Verifies SPIFFE JWT-SVIDs (SPIFFE JWT-SVID §2–§4) with the keys of the trust domain that their `sub` names, and no other. */
import type { Credential } from '../core/credential.ts';
import { refuse } from '../core/error.ts';
import { type Identity, proveIdentity } from '../core/identity.ts';
import type { PolicySnapshot } from '../core/policy/snapshot.ts';
import { parseSpiffeId, trustDomainOf } from '../core/spiffe-id.ts';
import { echo, echoAll } from './echo.ts';
import type { KeySets } from './jwks.ts';
import type { CompactJws } from './jwt.ts';
import { verifySignature } from './signature.ts';
import {
  checkAudience,
  checkLifetime,
  checkSoleAudience,
  checkTimes,
  readAudiences,
} from './token-claims.ts';

/** JWT-SVID §2.1: no EdDSA, no symmetric algorithm. */
const svidAlgorithms = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const svidHeader = ['alg', 'kid', 'typ']; // JWT-SVID §2: no other parameter may be present
const svidTypes = ['JWT', 'JOSE'];

export interface JwtSvidContext {
  readonly keySets: KeySets;
  /** Our own trust domain, for which nobody else vouches. */
  readonly trustDomain: string;
}

/** Throws an `OAuthError` whose reason says which check failed. */
export async function verifyJwtSvid(
  jws: CompactJws,
  subject: string,
  { lane }: Credential,
  policy: PolicySnapshot,
  nowMillis: number,
  { keySets, trustDomain: ownTrustDomain }: JwtSvidContext,
): Promise<Identity> {
  checkHeader(jws);
  const spiffeId = parseSpiffeId(subject) ?? refuse('credential.spiffe_id_invalid', `sub ${echo(subject)}`);
  const name = trustDomainOf(spiffeId);
  const domain = name === ownTrustDomain ? undefined : policy.trustDomains.get(name);
  if (domain === undefined) refuse('credential.unknown_trust_domain', `trust domain ${echo(name)}`);
  await verifySignature(jws, keySets.bundleFor(domain));

  const { claims } = jws;
  const times = checkTimes(claims, nowMillis);
  checkLifetime(times, domain.maxSvidLifetimeSeconds, nowMillis);
  const audiences = readAudiences(claims);
  if (lane === 'client_assertion') checkSoleAudience(audiences);
  checkAudience(audiences, domain.audiences);
  return proveIdentity({
    spiffeId,
    credentialKind: 'jwt-svid',
    trustDomain: domain.name,
    claims,
    auditClaims: {},
    audiences,
    clientIds: [spiffeId],
    expiresAt: Math.floor(times.expiresAt),
  });
}

function checkHeader({ header, algorithm, kid, type }: CompactJws): void {
  const extra = Object.keys(header).filter((parameter) => !svidHeader.includes(parameter));
  if (extra.length > 0) {
    refuse(
      'credential.header_refused',
      `a JWT-SVID's header has only alg, kid and typ, actual also ${echoAll(extra)}`,
    );
  }
  if (type !== undefined && !svidTypes.includes(type)) {
    refuse('credential.type_refused', `typ: expected ${echoAll(svidTypes)}, actual ${echo(type)}`);
  }
  if (!svidAlgorithms.includes(algorithm)) {
    refuse(
      'credential.algorithm_refused',
      `alg: not one that a JWT-SVID may have, actual ${echo(algorithm)}`,
    );
  }
  if (kid === undefined) refuse('credential.header_refused', 'a JWT-SVID must name its key by kid');
}
