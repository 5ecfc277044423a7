/** Which draft a token of each format begins as. */
import { draftJwtGrant } from './jwt-grant.ts';
import { draftJwtSvid } from './jwt-svid.ts';
import type { Signer } from './ports.ts';
import { draftAccessToken, type TokenDraft, type TokenOrder } from './token.ts';
import type { TokenFormat } from './token-format.ts';

type Draft = (signer: Signer, order: TokenOrder) => TokenDraft;

export const draftByFormat: Readonly<Record<TokenFormat, Draft>> = {
  access_token: draftAccessToken,
  'jwt-svid': draftJwtSvid,
  'jwt-grant': draftJwtGrant,
};
