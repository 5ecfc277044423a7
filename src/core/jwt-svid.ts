/** JWT-SVIDs (SPIFFE JWT-SVID §2 and §3): what we say of a workload of our own trust domain to others' SPIFFE libraries. */
import { randomUUID } from 'node:crypto';
import type { Signer } from './ports.ts';
import type { TokenDraft, TokenOrder } from './token.ts';

export type SvidOrder = Pick<
  TokenOrder,
  'subject' | 'audience' | 'lifetimeSeconds' | 'addedClaims' | 'nowMillis'
>;

/** One JWT-SVID for one audience. It has no `iss`, `client_id` or `scope`: nobody shall take it for an access token or an ID token. */
export function draftJwtSvid(signer: Signer, order: SvidOrder): TokenDraft {
  const issuedAt = Math.floor(order.nowMillis / 1000);
  const expiresAt = issuedAt + order.lifetimeSeconds;
  const jti = randomUUID();
  const header = { alg: signer.algorithm, kid: signer.kid, typ: 'JWT' }; // §2: no other parameter may be there
  const claims = {
    ...order.addedClaims,
    sub: order.subject,
    aud: [order.audience], // an array, as SPIRE writes it
    exp: expiresAt,
    iat: issuedAt,
    jti,
  };
  const token = {
    tokenType: 'N_A', // RFC 8693 §2.2.1
    jti,
    kid: signer.kid,
    expiresAt,
    lifetimeSeconds: order.lifetimeSeconds,
    scopes: [],
    confirmation: undefined,
  } as const;
  return { header, claims, token };
}
