/** The two kinds of tokens that we mint, each signed by keys of its own. */

export const tokenFormats = ['access_token', 'jwt-svid'] as const;

/** An access token of RFC 9068, or a JWT-SVID of SPIFFE. */
export type TokenFormat = (typeof tokenFormats)[number];
