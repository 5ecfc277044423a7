/** The gate of a push of keys: no admin, but the one identity that the Issuer document itself names. */
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { noteCredential, noteIdentity, noteRefusal } from '../../core/attempt.ts';
import type { Credential } from '../../core/credential.ts';
import { OAuthError, refuse } from '../../core/error.ts';
import type { Identity } from '../../core/identity.ts';
import { issuerNameOf } from '../../core/match.ts';
import type { PolicySnapshot, TrustedIssuer } from '../../core/policy/snapshot.ts';
import { Secret } from '../../core/secret.ts';
import { trustDomainOf } from '../../core/spiffe-id.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { bearerToken, beginUse, countRefusal } from './authorize.ts';
import { AdminProblem } from './problem.ts';

/** Who pushes, the issuer that names them, and the policy whose keys verified the token. */
export interface Pusher {
  readonly token: Secret<string>;
  readonly spiffeId: string;
  readonly issuer: TrustedIssuer;
  readonly policy: PolicySnapshot;
}

declare module 'fastify' {
  interface FastifyRequest {
    pusher: Pusher | undefined;
  }
}

type Dependencies = Pick<HttpDependencies, 'clock' | 'policyBook' | 'refusalCap' | 'settings' | 'verify'>;

/** An `onRequest` hook for routes with a `name`, so that the body of a stranger's request is never read. */
export function authorizePusher(action: string, dependencies: Dependencies): onRequestAsyncHookHandler {
  const { clock, policyBook, refusalCap } = dependencies;
  return async (request) => {
    const event = beginUse(request, action, clock.now());
    const token = bearerToken(request.headers.authorization);
    if (token === undefined) {
      await countRefusal(request, refusalCap);
      throw new AdminProblem('pusher-unauthorized', {
        reason: 'admin.token_missing',
        headers: { 'www-authenticate': 'Bearer' }, // RFC 6750 §3.1: no error code where no token came
      });
    }
    const credential: Credential = { lane: 'bearer', token: new Secret(token), declaredType: 'any' };
    noteCredential(event, credential);
    const policy = policyBook.current();
    const identity = await prove(credential, policy, dependencies).catch(async (error: unknown) => {
      await countRefusal(request, refusalCap);
      const refusal = OAuthError.from(error, credential.lane);
      noteRefusal(event, refusal);
      if (event.outcome === 'failed') throw error;
      throw new AdminProblem('pusher-unauthorized', {
        reason: refusal.reason,
        headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
      });
    });
    noteIdentity(event, identity);
    event.actor = identity.spiffeId;
    const issuer = findNaming(identity, policy, nameIn(request));
    if (issuer === undefined) {
      await countRefusal(request, refusalCap);
      throw new AdminProblem('pusher-not-named');
    }
    request.pusher = { token: credential.token, spiffeId: identity.spiffeId, issuer, policy };
  };
}

/** A token that is (also) for somebody else could be sent here by them: it must be for us alone. */
async function prove(
  credential: Credential,
  policy: PolicySnapshot,
  { clock, settings, verify }: Dependencies,
): Promise<Identity> {
  const identity = await verify(credential, policy, clock.now());
  const [audience, another] = identity.audiences;
  if (another !== undefined) refuse('credential.audience_not_sole');
  if (audience !== settings.issuer)
    refuse('credential.audience_mismatch', `aud: expected ${settings.issuer}`);
  return identity;
}

function nameIn({ params }: FastifyRequest): unknown {
  return typeof params === 'object' && params !== null && 'name' in params ? params.name : undefined;
}

function findNaming(identity: Identity, policy: PolicySnapshot, name: unknown): TrustedIssuer | undefined {
  if (typeof name !== 'string' || issuerNameOf(identity) !== name) return undefined;
  const issuer = [...policy.issuers.values()].flat().find((candidate) => candidate.name === name);
  const { pushedBy } = issuer?.keys ?? {};
  if (pushedBy === undefined) return undefined;
  return identity.spiffeId === `spiffe://${trustDomainOf(identity.spiffeId)}${pushedBy}` ? issuer : undefined;
}
