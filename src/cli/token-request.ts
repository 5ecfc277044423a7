/** The one POST that asks for a token, by the credential that it is asked with. */
import { grantTypes, paths } from '../core/discovery.ts';

export interface PlatformCredential {
  readonly credential: string;
  /** Where only a token exchange takes it. */
  readonly subjectTokenType: string | undefined;
}

export interface HttpRequest {
  /** Under the server's URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** To `/api/v1/token`, or to the token endpoint where the credential needs a type. */
export function tokenRequest(
  { credential, subjectTokenType }: PlatformCredential,
  { audience, scope }: { readonly audience?: string | undefined; readonly scope?: string | undefined },
): HttpRequest {
  if (subjectTokenType === undefined) {
    return {
      path: paths.agentlessToken,
      headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: JSON.stringify({ audience, scope }),
    };
  }
  return formRequest({
    grant_type: grantTypes.tokenExchange, // RFC 8693 §2.1
    subject_token_type: subjectTokenType,
    subject_token: credential,
    ...(audience === undefined ? {} : { audience }),
    ...(scope === undefined ? {} : { scope }),
  });
}

export function formRequest(form: Readonly<Record<string, string>>): HttpRequest {
  return {
    path: paths.token,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  };
}
