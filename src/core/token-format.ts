/** The kinds of tokens that we mint; JWT-SVIDs are signed by keys of their own. */

export const tokenFormats = ['access_token', 'jwt-svid', 'jwt-grant'] as const;

/** An access token of RFC 9068, a JWT-SVID of SPIFFE, or a JWT authorization grant of RFC 7523. */
export type TokenFormat = (typeof tokenFormats)[number];

/** The formats with a key ring of their own; grants are signed as access tokens are. */
export type KeyedFormat = Exclude<TokenFormat, 'jwt-grant'>;

/** What a request may ask for. */
export const requestedFormats = [...tokenFormats, 'jwt'] as const;
export type RequestedFormat = (typeof requestedFormats)[number];
