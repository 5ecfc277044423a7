/** What a caller asks for, after its form, header or JSON was read; the same for every endpoint and lane. */
import type { Credential } from './credential.ts';
import type { JsonObject } from './json.ts';
import type { RequestProof } from './request-proof.ts';
import type { RequestedFormat } from './token-format.ts';

export interface TokenRequest {
  /** The credential that says who is asking. */
  readonly credential: Credential;
  /** A second credential of the same caller, where client authentication came beside a subject token. */
  readonly clientAssertion: Credential | undefined;
  /** Who acts (RFC 8693 §2.1), where that is not the client. */
  readonly actorToken?: Credential | undefined;
  readonly clientId: string | undefined;
  /** The target audience; undefined asks for the default. */
  readonly audience: string | undefined;
  /** undefined asks for the default scopes. */
  readonly scopes: readonly string[] | undefined;
  /** Claims that the token shall carry besides; never empty. */
  readonly additionalClaims?: JsonObject | undefined;
  /** undefined asks for an access token. */
  readonly requestedFormat?: RequestedFormat | undefined;
  /** What the token can be bound to; undefined where nothing is shown. */
  readonly proof?: RequestProof | undefined;
  /** Whether the answer carries `issued_token_type` (RFC 8693 §2.2.1). */
  readonly isTokenExchange: boolean;
}
