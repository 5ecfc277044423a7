/** The asymmetric JWS algorithms (RFC 7518 §3.1, RFC 8037, RFC 9864) that any credential may be signed with; each issuer narrows them. */
export const signingAlgorithms = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
  'Ed25519',
] as const;

/** What our own tokens may be signed with. */
export const tokenAlgorithms = ['ES256', 'RS256', 'PS256', 'ES384', 'EdDSA'] as const;
export type TokenAlgorithm = (typeof tokenAlgorithms)[number];
