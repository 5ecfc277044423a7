/** What a caller should do about each error code; `error_uri` points at these entries of the documentation page. */
import { type OAuthCode, sentences } from '../core/error.ts';

const advice: Record<OAuthCode, string> = {
  invalid_request:
    'Mend the request: send each parameter once, in the body, with the content type that the endpoint reads. A subject token that was not accepted reads this way too (RFC 8693): get a fresh one whose audience is this issuer.',
  invalid_client:
    'Get a fresh credential from your platform, with this issuer as its audience; then ask an admin whether your platform is registered here.',
  invalid_grant:
    'It may have expired, been made for another audience, or come from a platform that is not registered here. Get a fresh one before each request.',
  invalid_scope:
    'Ask only for scopes that your grant permits, space-delimited; without `scope` you get its defaults. A request is never narrowed silently.',
  invalid_target:
    'Name exactly one target, spelled as its resource is registered. Where it is, no grant lets this caller have a token for it: ask an admin, with the `request_id`.',
  invalid_token:
    'Send the platform token as `Authorization: Bearer …`. It must be fresh, signed by a registered platform, and made for this issuer’s audience.',
  invalid_dpop_proof:
    'Make a new proof for each request: `typ: dpop+jwt`, your public `jwk`, the method, this URL as it is published, the time now and a fresh `jti`. The resource may demand one.',
  use_dpop_nonce:
    'Make the proof again with the `nonce` that the `DPoP-Nonce` header of this answer holds, and send the request again.',
  unauthorized_client:
    'This caller may not act for the subject of that token. Ask as yourself, or have an admin permit it.',
  unsupported_grant_type:
    'Use `client_credentials`, `urn:ietf:params:oauth:grant-type:jwt-bearer` or `urn:ietf:params:oauth:grant-type:token-exchange`.',
  unsupported_token_type:
    'Only access tokens can be revoked: a JWT-SVID or another platform’s token ends by itself, or where it was made.',
  server_error: 'Nothing that you sent explains this. Tell an operator the `request_id`.',
  temporarily_unavailable:
    'Wait for as many seconds as `Retry-After` says, then send the same request again, with some jitter. After 429, mend the request first: refusals from your address were too many.',
};

export interface ErrorGuideEntry {
  readonly code: OAuthCode;
  /** What the answer itself says. */
  readonly sentence: string;
  readonly advice: string;
}

export const errorGuide: readonly ErrorGuideEntry[] = (Object.keys(advice) as OAuthCode[]).map((code) => ({
  code,
  sentence: sentences[code],
  advice: advice[code],
}));
