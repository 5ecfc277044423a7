import { describe, expect, it } from 'vitest';
import { OAuthError } from '../../../src/core/error.ts';
import { readTokenForm } from '../../../src/http/token-form.ts';

const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const jwtSpiffe = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;
const exchange = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token: 'S',
  subject_token_type: type('jwt'),
};
const credentials = {
  grant_type: 'client_credentials',
  client_assertion: 'A',
  client_assertion_type: jwtSpiffe,
};
const bearer = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: 'B' };

const read = (form: Record<string, string> | [string, string][], authorization?: string) =>
  readTokenForm(new URLSearchParams(form), authorization);

const refusalOf = (...input: Parameters<typeof read>) => {
  try {
    read(...input);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    return [error.code, error.reason];
  }
};

describe('the three grants', () => {
  it('reads client_credentials with either assertion type', () => {
    const spiffe = read({ ...credentials, audience: 'alpha', scope: 'a b' });
    expect(spiffe.credential).toMatchObject({ lane: 'client_assertion', declaredType: 'jwt-svid' });
    expect(spiffe.credential.token.reveal()).toBe('A');
    expect(spiffe).toMatchObject({ audience: 'alpha', scopes: ['a', 'b'], isTokenExchange: false });
    const jwt = read({ ...credentials, client_assertion_type: jwtBearer });
    expect(jwt.credential.declaredType).toBe('jwt');
    expect(jwt).toMatchObject({ audience: undefined, scopes: undefined, clientId: undefined });
  });

  it('takes a certificate chain for client_credentials where there is no assertion', () => {
    const chain = [Uint8Array.of(1, 2), Uint8Array.of(3)];
    const withChain = (form: Record<string, string>) =>
      readTokenForm(new URLSearchParams(form), undefined, chain);
    const client = { grant_type: 'client_credentials', client_id: 'spiffe://a/b' };
    expect(withChain(client)).toMatchObject({
      clientId: 'spiffe://a/b',
      clientAssertion: undefined,
      credential: { lane: 'client_certificate', chain },
    });
    expect(withChain(credentials).credential).not.toHaveProperty('chain');
    expect(withChain(bearer)).toMatchObject({
      credential: { lane: 'assertion' },
      clientAssertion: undefined,
    });
    expect(withChain(exchange)).toMatchObject({ credential: { lane: 'subject_token' } });
    expect(() => withChain({ ...client, client_id: '' })).toThrow('client_id');
    expect(() => withChain({ ...client, client_assertion_type: jwtSpiffe })).toThrow('client_assertion');
  });

  it('reads jwt-bearer, ignoring a client_assertion_type without its assertion', () => {
    const request = read({ ...bearer, client_assertion_type: jwtBearer });
    expect(request.credential).toMatchObject({ lane: 'assertion', declaredType: 'any' });
    expect(request.clientAssertion).toBeUndefined();
  });

  it('reads token-exchange, with and without a client assertion', () => {
    expect(read(exchange)).toMatchObject({ isTokenExchange: true, clientAssertion: undefined });
    const both = read({
      ...exchange,
      subject_token_type: type('jwt_spiffe'),
      client_assertion: 'A',
      client_assertion_type: jwtSpiffe,
    });
    expect(both.credential).toMatchObject({ lane: 'subject_token', declaredType: 'jwt-svid' });
    expect(both.clientAssertion).toMatchObject({ lane: 'client_assertion', declaredType: 'jwt-svid' });
  });

  it.each(['jwt', 'id_token', 'access_token'])('takes a subject token declared as %s', (name) => {
    expect(read({ ...exchange, subject_token_type: type(name) }).credential.declaredType).toBe('jwt');
  });

  it('counts an empty parameter as omitted, and ignores unknown ones, even repeated', () => {
    const request = read([
      ...Object.entries({ ...credentials, audience: '', client_id: '' }),
      ['x', '1'],
      ['x', '2'],
    ]);
    expect(request).toMatchObject({ audience: undefined, clientId: undefined });
  });

  it('takes a resource as the target', () => {
    expect(read({ ...bearer, resource: 'https://api.example/v1' }).audience).toBe('https://api.example/v1');
  });

  it('reads additional_claims, and an empty object as none', () => {
    expect(read({ ...bearer, additional_claims: '{"a":{"b":[1]}}' }).additionalClaims).toEqual({
      a: { b: [1] },
    });
    expect(read({ ...bearer, additional_claims: '{ }' }).additionalClaims).toBeUndefined();
  });
});

describe('refusals', () => {
  it.each([
    ['no grant_type', { client_assertion: 'A' }, 'invalid_request', 'request.missing_parameter'],
    [
      'another grant type',
      { grant_type: 'password' },
      'unsupported_grant_type',
      'request.grant_type_unsupported',
    ],
    ['no assertion', { grant_type: 'client_credentials' }, 'invalid_request', 'request.missing_parameter'],
    [
      'an assertion without its type',
      { grant_type: 'client_credentials', client_assertion: 'A' },
      'invalid_request',
      'request.missing_parameter',
    ],
    [
      'another assertion type',
      { ...credentials, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' },
      'invalid_client',
      'request.client_assertion_type_unsupported',
    ],
    [
      'a prototype member as assertion type',
      { ...credentials, client_assertion_type: 'constructor' },
      'invalid_client',
      'request.client_assertion_type_unsupported',
    ],
    [
      'no subject token type',
      { ...exchange, subject_token_type: '' },
      'invalid_request',
      'request.missing_parameter',
    ],
    [
      'another subject token type',
      { ...exchange, subject_token_type: type('saml2') },
      'invalid_request',
      'request.token_type_unsupported',
    ],
    [
      'another requested token type',
      { ...exchange, requested_token_type: type('refresh_token') },
      'invalid_request',
      'request.token_type_unsupported',
    ],
    [
      'an actor token without its type',
      { ...exchange, actor_token: 'A' },
      'invalid_request',
      'request.missing_parameter',
    ],
    [
      'an actor token type without a token',
      { ...exchange, actor_token_type: type('jwt') },
      'invalid_request',
      'request.missing_parameter',
    ],
    ['a malformed scope', { ...bearer, scope: 'a  "b"' }, 'invalid_scope', 'request.scope_malformed'],
    ['a relative resource', { ...bearer, resource: 'alpha' }, 'invalid_target', 'request.target_malformed'],
    [
      'a resource with a fragment',
      { ...bearer, resource: 'https://a.example/#b' },
      'invalid_target',
      'request.target_malformed',
    ],
    [
      'audience and resource',
      { ...bearer, audience: 'https://a.example', resource: 'https://a.example' },
      'invalid_target',
      'request.many_targets',
    ],
    [
      'a claim whose name no grant can hold',
      { ...bearer, additional_claims: '{"a b":1}' },
      'invalid_request',
      'request.claim_not_allowed',
    ],
    [
      'claims that name one twice',
      { ...bearer, additional_claims: '{"a":1,"\\u0061":1}' },
      'invalid_request',
      'request.malformed',
    ],
    [
      'claims that are no object',
      { ...bearer, additional_claims: '["a"]' },
      'invalid_request',
      'request.malformed',
    ],
    [
      'claims that are no JSON',
      { ...bearer, additional_claims: '{a}' },
      'invalid_request',
      'request.malformed',
    ],
    [
      'more claims than a token may carry',
      { ...bearer, additional_claims: JSON.stringify({ a: 'x'.repeat(4096) }) },
      'invalid_request',
      'request.claims_too_large',
    ],
    [
      'a client secret',
      { ...bearer, client_secret: 's' },
      'invalid_client',
      'request.client_authentication_unsupported',
    ],
    [
      'a secret beside an assertion',
      { ...credentials, client_secret: 's' },
      'invalid_request',
      'request.two_client_authentications',
    ],
  ])('refuses %s', (_name, form, code, reason) => {
    expect(refusalOf(form as Record<string, string>)).toEqual([code, reason]);
  });

  it('refuses the Authorization header, alone and beside an assertion', () => {
    expect(refusalOf(exchange, 'Basic eDp5')).toEqual([
      'invalid_client',
      'request.client_authentication_unsupported',
    ]);
    expect(refusalOf(credentials, 'Basic eDp5')).toEqual([
      'invalid_request',
      'request.two_client_authentications',
    ]);
  });

  it.each([
    'grant_type',
    'client_id',
    'client_assertion',
    'client_assertion_type',
    'scope',
    'requested_token_type',
  ])('refuses %s twice', (name) => {
    const form: [string, string][] = [...Object.entries(credentials), [name, 'x'], [name, 'x']];
    expect(refusalOf(form)).toEqual(['invalid_request', 'request.repeated_parameter']);
  });

  it('refuses two audiences', () => {
    expect(refusalOf([...Object.entries(bearer), ['audience', 'a'], ['audience', 'b']])).toEqual([
      'invalid_target',
      'request.many_targets',
    ]);
  });
});
