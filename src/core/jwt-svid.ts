/** JWT-SVIDs (SPIFFE JWT-SVID §2 and §3): what we say of a workload of our own trust domain to others' SPIFFE libraries. */
import { randomUUID } from 'node:crypto';
import type { Signer } from './ports.ts';
import { Secret } from './secret.ts';
import { type MintedToken, signJwt, type TokenOrder } from './token.ts';

export type SvidOrder = Pick<
  TokenOrder,
  'subject' | 'audience' | 'lifetimeSeconds' | 'addedClaims' | 'nowMillis'
>;

/**
 * Mints one JWT-SVID for one audience. It has no `iss`, `client_id` or `scope`: nobody shall take it for an access token
 * or an ID token. Throws `server.signer_unavailable` when no signature could be made.
 */
export async function mintJwtSvid(signer: Signer, order: SvidOrder): Promise<MintedToken> {
  const issuedAt = Math.floor(order.nowMillis / 1000);
  const expiresAt = issuedAt + order.lifetimeSeconds;
  const jti = randomUUID();
  const header = { alg: signer.algorithm, kid: signer.kid, typ: 'JWT' }; // §2: no other parameter may be there
  const claims = {
    ...order.addedClaims,
    sub: order.subject,
    aud: [order.audience], // as SPIRE writes it: some readers take an array alone
    exp: expiresAt,
    iat: issuedAt,
    jti,
  };
  return {
    accessToken: new Secret(await signJwt(signer, header, claims)),
    tokenType: 'N_A', // RFC 8693 §2.2.1
    jti,
    kid: signer.kid,
    expiresAt,
    lifetimeSeconds: order.lifetimeSeconds,
    scopes: [],
  };
}
