/** May this request pass? What a proxy asks before each request to a service: an access token of ours or a client certificate, for one resource. */
import { clip } from './clip.ts';
import { decide } from './decide.ts';
import { OAuthError, refuse } from './error.ts';
import type { OwnToken } from './own-token.ts';
import { guardedResource } from './policy/guarded-resource.ts';
import type { PolicySnapshot, Resource } from './policy/snapshot.ts';
import type { Revocations, ShownProof, Verify, VerifyDpop, VerifyOwnToken } from './ports.ts';
import { Secret } from './secret.ts';
import type { SpiffeId } from './spiffe-id.ts';
import { requireBinding, type ShownBinding } from './token-binding.ts';

export interface PassRequest {
  /** The name of a Resource document, as the proxy's configuration says it. */
  readonly resourceName: string;
  /** All of these must hold. */
  readonly scopes: readonly string[];
  /** What the `Authorization` header holds; undefined where it holds no token. */
  readonly token: { readonly scheme: ShownBinding['scheme']; readonly value: Secret<string> } | undefined;
  /** Reads the DPoP proof, where there is one, and what it must have been made for. Throws `dpop.request_unknown`. */
  readonly readProof: () => ShownProof | undefined;
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

/** Rejects with an `OAuthError`. In steady state it asks nobody, but for the first use of a DPoP proof. */
export type ForwardAuth = (
  request: PassRequest,
  policy: PolicySnapshot,
  nowMillis: number,
) => Promise<Passport>;

export interface ForwardAuthParts {
  readonly verify: Verify;
  readonly revocations: Pick<Revocations, 'refusesNew'>;
  readonly verifyOwnToken: VerifyOwnToken;
  /** Asks for no nonce: a proxy passes on no header that would tell one. */
  readonly verifyDpop: VerifyDpop;
}

/** A token decides where one was sent; a certificate beside it is then no second way in. */
export function createForwardAuth(parts: ForwardAuthParts): ForwardAuth {
  const { verify, revocations, verifyOwnToken, verifyDpop } = parts;
  return async (request, policy, nowMillis) => {
    const resource = guardedResource(policy, request.resourceName);
    if (resource === undefined) return refuse('policy.unknown_resource');
    if (request.token !== undefined) {
      const token = await verifyOwnToken(request.token.value.reveal(), nowMillis);
      requireAudience(token, resource);
      requireDemandedProof(token, resource);
      requireBinding(token, await showBinding(token, request, request.token, nowMillis));
      requireScopes(token, request.scopes);
      return passportOf(token, resource);
    }
    const chain = request.readChain() ?? refuse('request.credential_missing');
    return passByCertificate(chain, resource, request.scopes, policy, nowMillis);
  };

  /** Looks at what the token is bound to and at nothing else, so that only a bound token costs more than its signature. */
  async function showBinding(
    { confirmation }: OwnToken,
    { readProof, readChain }: PassRequest,
    { scheme, value }: NonNullable<PassRequest['token']>,
    nowMillis: number,
  ): Promise<ShownBinding> {
    if (confirmation === undefined) return { scheme };
    if (!('jkt' in confirmation)) return { scheme, certificate: readChain()?.[0] };
    const shown = scheme === 'DPoP' ? readProof() : undefined;
    const proof = shown && (await verifyDpop({ ...shown, accessToken: value.reveal() }, nowMillis));
    return { scheme, jkt: proof?.jkt };
  }

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
    const revokedBy = revocations.refusesNew(identity, nowMillis);
    if (revokedBy !== undefined) refuse('policy.identity_revoked', `revoked by ${revokedBy}`);
    const proof = { kind: 'mtls', endsAt: identity.expiresAt } as const;
    const decision = decide(identity, { audience: resource.audience, scopes, proof }, policy, nowMillis);
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
function requireAudience({ audiences }: OwnToken, { audience }: Resource): void {
  if (audiences.includes(audience)) return;
  refuse('token.audience_mismatch', `aud: expected ${audience}, actual ${clip(audiences.join(' '), 256)}`);
}

/** A token of an earlier policy may be bound to nothing. */
function requireDemandedProof({ confirmation }: OwnToken, { proof }: Resource): void {
  if (proof === 'none') return;
  const member = proof === 'dpop' ? 'jkt' : 'x5t#S256';
  if (confirmation === undefined || !(member in confirmation)) {
    refuse('token.binding_missing', `the resource demands proof: ${proof}`);
  }
}

function requireScopes({ scopes }: OwnToken, needed: readonly string[]): void {
  const missing = needed.filter((scope) => !scopes.includes(scope));
  if (missing.length > 0) refuse('token.scope_missing', `scope: lacks ${clip(missing.join(' '), 256)}`);
}

function passportOf(token: OwnToken, { audience }: Resource): Passport {
  const { subject, clientId, scopes, expiresAt } = token;
  return { spiffeId: subject, method: 'token', clientId, audience, scopes, expiresAt };
}
