/** May this request pass? What a proxy asks before each request to a service: an access token of ours or a client certificate, for one resource. */
import { clip } from './clip.ts';
import { decide } from './decide.ts';
import { OAuthError, refuse } from './error.ts';
import type { OwnToken } from './own-token.ts';
import { guardedResource } from './policy/guarded-resource.ts';
import type { PolicySnapshot, Resource } from './policy/snapshot.ts';
import type { Verify, VerifyOwnToken } from './ports.ts';
import { Secret } from './secret.ts';
import type { SpiffeId } from './spiffe-id.ts';

export interface PassRequest {
  /** The name of a Resource document, as the proxy's configuration says it. */
  readonly resourceName: string;
  /** All of these must hold. */
  readonly scopes: readonly string[];
  /** What the `Authorization` header holds; undefined where it holds no token. */
  readonly token: Secret<string> | undefined;
  /** Reads the client's certificate chain (DER, leaf first), where there is one. Throws `request.certificate_header_*`. */
  readonly readChain: () => readonly Uint8Array[] | undefined;
}

/** Who may pass, for the service behind the proxy. */
export interface Passport {
  readonly spiffeId: SpiffeId;
  readonly method: 'token' | 'x509-svid';
  readonly clientId: string;
  readonly audience: string;
  readonly scopes: readonly string[];
  /** When the credential ends, in seconds since the epoch. */
  readonly expiresAt: number;
}

/** Rejects with an `OAuthError`. In steady state it asks nobody: no query, no call, no event. */
export type ForwardAuth = (
  request: PassRequest,
  policy: PolicySnapshot,
  nowMillis: number,
) => Promise<Passport>;

export interface ForwardAuthParts {
  readonly verify: Verify;
  readonly verifyOwnToken: VerifyOwnToken;
}

/** A token decides where one was sent; a certificate beside it is then no second way in. */
export function createForwardAuth({ verify, verifyOwnToken }: ForwardAuthParts): ForwardAuth {
  return async (request, policy, nowMillis) => {
    const resource = guardedResource(policy, request.resourceName);
    if (resource === undefined) return refuse('policy.unknown_resource');
    if (request.token !== undefined) {
      const token = await verifyOwnToken(request.token.reveal(), nowMillis);
      requireFor(token, resource, request.scopes);
      return passportOf(token, resource);
    }
    const chain = request.readChain() ?? refuse('request.credential_missing');
    return passByCertificate(chain, resource, request.scopes, policy, nowMillis);
  };

  /** The certificate gives what a token for these scopes would hold: a grant must give the identity all of them. */
  async function passByCertificate(
    chain: readonly Uint8Array[],
    resource: Resource,
    scopes: readonly string[],
    policy: PolicySnapshot,
    nowMillis: number,
  ): Promise<Passport> {
    const lane = 'client_certificate';
    const leaf = Buffer.from(chain[0] ?? []).toString('base64');
    const credential = { lane, token: new Secret(leaf), declaredType: 'any', chain } as const;
    const identity = await verify(credential, policy, nowMillis).catch((error) => {
      throw OAuthError.from(error, lane);
    });
    const decision = decide(identity, { audience: resource.audience, scopes }, policy, nowMillis);
    if (!decision.permit) return refuse(decision.reason);
    return {
      spiffeId: identity.spiffeId,
      method: 'x509-svid',
      clientId: identity.spiffeId,
      audience: resource.audience,
      scopes: decision.scopes,
      expiresAt: identity.expiresAt,
    };
  }
}

/** No other resource may have this one's audience, so a token that names it was granted on this resource. */
function requireFor(token: OwnToken, resource: Resource, scopes: readonly string[]): void {
  if (!token.audiences.includes(resource.audience)) {
    const actual = clip(token.audiences.join(' '), 256);
    refuse('token.audience_mismatch', `aud: expected ${resource.audience}, actual ${actual}`);
  }
  const missing = scopes.filter((scope) => !token.scopes.includes(scope));
  if (missing.length > 0) refuse('token.scope_missing', `scope: lacks ${clip(missing.join(' '), 256)}`);
}

function passportOf(token: OwnToken, { audience }: Resource): Passport {
  const { subject, clientId, scopes, expiresAt } = token;
  return { spiffeId: subject, method: 'token', clientId, audience, scopes, expiresAt };
}
