/** The requests that must fail, and the public error code with which each must. */
import { grantTypes, paths } from '../../core/discovery.ts';
import { formRequest, type HttpRequest, type PlatformCredential, tokenRequest } from '../token-request.ts';
import { type Forger, withChange } from './forged-tokens.ts';

export interface MustFail {
  readonly check: string;
  readonly request: HttpRequest;
  readonly error: string;
}

/** What needs no secret: nobody has to trust the prober. */
export async function refusalsOfStrangers(forger: Forger): Promise<readonly MustFail[]> {
  const strange = await forger.strange();
  const bearing = (credential: string) => tokenRequest({ credential, subjectTokenType: undefined }, {});
  const { headers, body } = bearing(strange);
  const exchange = {
    grant_type: grantTypes.tokenExchange,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    subject_token: strange,
  };
  const assertion = { grant_type: grantTypes.jwtBearer, assertion: strange };
  return [
    { check: 'an unsigned token', request: bearing(forger.unsigned()), error: 'invalid_token' },
    { check: 'a token of an unknown key', request: bearing(strange), error: 'invalid_token' },
    { check: 'the same as an assertion', request: formRequest(assertion), error: 'invalid_grant' },
    { check: 'an expired token', request: bearing(await forger.expired()), error: 'invalid_token' },
    { check: 'a token for another', request: bearing(await forger.forAnother()), error: 'invalid_token' },
    {
      check: 'no credential',
      request: { path: paths.agentlessToken, headers: { 'content-type': 'application/json' }, body: '{}' },
      error: 'invalid_token',
    },
    {
      check: 'parameters in the query',
      request: { path: `${paths.agentlessToken}?audience=mintmark-probe`, headers, body },
      error: 'invalid_request',
    },
    {
      check: 'two targets',
      // The parameter stands twice, which a record cannot say.
      request: withTargets(formRequest(exchange), 'urn:mintmark:probe:1', 'urn:mintmark:probe:2'),
      error: 'invalid_target',
    },
    {
      check: 'a client secret',
      request: formRequest({
        grant_type: grantTypes.clientCredentials,
        client_id: 'mintmark-probe',
        client_secret: 'mintmark-probe',
      }),
      error: 'invalid_client',
    },
    {
      check: 'an unknown grant type',
      request: formRequest({ grant_type: 'password', username: 'mintmark-probe' }),
      error: 'unsupported_grant_type',
    },
  ];
}

/** What a workload that may have `audience` must not get, each made of a new credential: it may be accepted once. */
export function refusalsOfWorkload(
  audience: string,
  mintedToken: string,
): readonly {
  readonly check: string;
  readonly of: (credential: PlatformCredential) => Omit<MustFail, 'check'>;
}[] {
  return [
    {
      check: 'a changed signature',
      of: ({ credential, subjectTokenType }) => ({
        request: tokenRequest({ credential: withChange(credential), subjectTokenType }, { audience }),
        error: subjectTokenType === undefined ? 'invalid_token' : 'invalid_request',
      }),
    },
    {
      check: 'our own token as a credential',
      of: () => ({
        request: tokenRequest({ credential: mintedToken, subjectTokenType: undefined }, { audience }),
        error: 'invalid_token',
      }),
    },
    {
      check: 'an unknown resource',
      of: (credential) => ({
        request: tokenRequest(credential, { audience: 'urn:mintmark:probe:no-such-resource' }),
        error: 'invalid_target',
      }),
    },
    {
      check: 'a scope that is not granted',
      of: (credential) => ({
        request: tokenRequest(credential, { audience, scope: 'mintmark.probe.no-such-scope' }),
        error: 'invalid_scope',
      }),
    },
  ];
}

function withTargets(request: HttpRequest, ...targets: readonly string[]): HttpRequest {
  const form = new URLSearchParams(request.body);
  for (const target of targets) form.append('audience', target);
  return { ...request, body: form.toString() };
}
