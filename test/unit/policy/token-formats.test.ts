/** Which tokens a Resource has, as it is written and as a request for one is decided. */
import { describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../src/core/audit.ts';
import { type AskedFor, decide } from '../../../src/core/decide.ts';
import { reasons } from '../../../src/core/error.ts';
import { algorithmsOf } from '../../../src/core/policy/algorithms.ts';
import { replayAttempt } from '../../../src/core/replay.ts';
import { compileText, exampleText, exampleWith, identity, problemsOf } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const audience = 'https://inventory.internal.example';
const anchor = '  tokenLifetime: 10m\n';
const withFormats = (formats: string, more = '') =>
  exampleWith(anchor, `${anchor}  tokenFormats: ${formats}\n${more}`);

const own = identity('spiffe://mintmark.example/prod-cluster/ns/a/sa/b', {
  credentialKind: 'platform-token',
  issuer: 'prod-cluster',
  expiresAt: now / 1000 + 3600,
});
const foreign = identity('spiffe://prod.example/orders', { expiresAt: now / 1000 + 3600 });

const decided = (text: string, asked: Partial<AskedFor>, who = own) =>
  decide(who, { audience, ...asked }, compileText(text), now);

describe('a request for a JWT-SVID', () => {
  const both = withFormats('[access_token, jwt-svid]');
  const svid = { requestedFormat: 'jwt-svid' } as const;

  it('is permitted where the Resource has them, without the default scopes of its grants', () => {
    expect(decided(both, svid)).toMatchObject({ permit: true, scopes: [], lifetimeSeconds: 300 });
    expect(decided(both, {})).toMatchObject({ permit: true, scopes: ['items:read'] });
  });

  it('is refused where the Resource has none, and so is an access token where it has only JWT-SVIDs', () => {
    const refused = { permit: false, reason: 'policy.token_format_not_permitted' };
    const decision = decided(exampleText, svid);
    expect(decision).toMatchObject(refused);
    expect(decision.checks.at(-1)).toEqual({
      check: 'token.format',
      ok: false,
      expected: 'access_token',
      actual: 'jwt-svid',
    });
    const only = withFormats('[jwt-svid]');
    expect(decided(only, {})).toMatchObject(refused);
    expect(decided(only, { requestedFormat: 'access_token' })).toMatchObject(refused);
    expect(decided(only, svid)).toMatchObject({ permit: true });
  });

  it('is refused to an identity of another trust domain', () => {
    const decision = decided(both, svid, foreign);
    expect(decision).toMatchObject({ permit: false, reason: 'policy.foreign_trust_domain' });
    expect(decision.checks.at(-1)).toEqual({
      check: 'token.trustDomain',
      ok: false,
      expected: 'mintmark.example',
      actual: 'prod.example',
    });
    expect(decided(both, {}, foreign)).toMatchObject({ permit: true });
  });

  it('is refused with scopes, even those that the grants give', () => {
    const decision = decided(both, { ...svid, scopes: ['items:read'] });
    expect(decision).toMatchObject({ permit: false, reason: 'request.svid_with_scope' });
    expect(decided(both, { ...svid, scopes: [] })).toMatchObject({ permit: true });
  });

  it('tells nobody without a grant which formats there are', () => {
    const stranger = identity('spiffe://prod.example/stranger', { expiresAt: now / 1000 + 60 });
    expect(decided(exampleText, svid, stranger)).toMatchObject({ reason: 'policy.no_grant' });
  });

  it('is refused in the words of RFC 8693 and RFC 6749', () => {
    expect(reasons['policy.token_format_not_permitted'].code).toBe('invalid_request');
    expect(reasons['policy.foreign_trust_domain'].code).toBe('invalid_request');
    expect(reasons['request.svid_with_scope'].code).toBe('invalid_scope');
  });
});

describe('a recorded request', () => {
  const event = (fields: Partial<AuditEvent>): AuditEvent => ({
    requestId: 'a',
    at: now,
    outcome: 'permitted',
    action: 'token.exchange',
    remoteAddress: '192.0.2.1',
    identity: own.spiffeId,
    credentialKind: 'platform-token',
    issuer: 'prod-cluster',
    audience,
    checks: [],
    ...fields,
  });

  it('is decided again for the format that was asked for', () => {
    const [before, after] = [compileText(withFormats('[access_token, jwt-svid]')), compileText(exampleText)];
    expect(replayAttempt(event({ requestedFormat: 'jwt-svid' }), before, after, now)).toMatchObject({
      change: 'newly-refused',
      after: 'policy.token_format_not_permitted',
    });
    expect(replayAttempt(event({}), before, after, now)).toEqual({ change: 'none' });
  });
});

describe('a Resource with JWT-SVIDs', () => {
  const problem = (field: string, message: string) => [
    expect.objectContaining({ document: 'Resource/inventory', field, message }),
  ];

  it('is never signed with EdDSA', () => {
    expect(problemsOf(withFormats('[jwt-svid]', '  signingAlg: EdDSA\n'))).toEqual(
      problem('spec.signingAlg', 'a JWT-SVID is never signed with EdDSA: choose ES256'),
    );
    compileText(withFormats('[access_token]', '  signingAlg: EdDSA\n'));
    compileText(withFormats('[jwt-svid]', '  signingAlg: PS256\n'));
  });

  it('is accepted with a warning where they live for long', () => {
    const lasting = (lifetime: string, formats: string) =>
      compileText(
        exampleWith(anchor, `  tokenLifetime: ${lifetime}\n  tokenFormats: ${formats}\n`),
      ).warnings.map(({ field, message }) => [field, message]);
    const before = compileText(exampleText).warnings.length;
    expect(lasting('2h', '[jwt-svid]')).toContainEqual([
      'spec.tokenLifetime',
      'is long for JWT-SVIDs, which are bound to no key and cannot be taken back: an hour is much',
    ]);
    expect(lasting('1h', '[jwt-svid]')).toHaveLength(before);
    expect(lasting('2h', '[access_token]')).toHaveLength(before);
  });

  it('has no extra audiences', () => {
    expect(problemsOf(withFormats('[access_token, jwt-svid]', '  extraAudiences: [other]\n'))).toEqual(
      problem('spec.extraAudiences', 'a JWT-SVID has one audience: leave this, or jwt-svid, out'),
    );
  });

  it.each(['[]', '[id_token]'])('has formats that we know, not %s', (formats) => {
    expect(problemsOf(withFormats(formats))).toHaveLength(1);
  });

  it('asks for keys of its own, which no other resource does', () => {
    expect(algorithmsOf(compileText(exampleText), 'jwt-svid')).toEqual([]);
    const policy = compileText(withFormats('[jwt-svid]', '  signingAlg: ES384\n'));
    expect(algorithmsOf(policy, 'jwt-svid')).toEqual(['ES384']);
    expect(algorithmsOf(policy, 'access_token')).toEqual(['ES256']);
  });
});

describe('a Resource with JWT authorization grants', () => {
  const resource = (more: string, formats = '[jwt-grant]') =>
    exampleWith(anchor, `  tokenFormats: ${formats}\n${more}`);
  const short = '  tokenLifetime: 5m\n';

  it.each([
    ['tokenFormats', `${short}`, '[access_token, jwt-grant]', 'write it alone'],
    ['tokenFormats', `${short}`, '[jwt-svid, jwt-grant]', 'write it alone'],
    ['tokenLifetime', '  tokenLifetime: 301s\n', '[jwt-grant]', 'at most 5m'],
    ['tokenLifetime', '', '[jwt-grant]', 'must be written'],
    ['extraAudiences', `${short}  extraAudiences: [other]\n`, '[jwt-grant]', 'has one audience'],
    ['proof', `${short}  proof: dpop\n`, '[jwt-grant]', 'bound to nothing'],
    ['reuse', `${short}  reuse: { minRemaining: 1m }\n`, '[jwt-grant]', 'taken once'],
  ])('is refused for its %s: %j of %s', (field, more, formats, message) => {
    expect(problemsOf(resource(more, formats))).toEqual([
      expect.objectContaining({
        document: 'Resource/inventory',
        field: `spec.${field}`,
        message: expect.stringContaining(message),
      }),
    ]);
    compileText(resource(short));
  });

  it('gives one where a plain jwt is asked for, and no access token', () => {
    const text = resource(short);
    expect(decided(text, { requestedFormat: 'jwt' })).toMatchObject({
      permit: true,
      format: 'jwt-grant',
      scopes: ['items:read'],
    });
    expect(decided(text, {})).toMatchObject({ reason: 'policy.token_format_not_permitted' });
    expect(decided(text, { requestedFormat: 'jwt-svid' })).toMatchObject({
      reason: 'policy.token_format_not_permitted',
    });
    expect(decided(exampleText, { requestedFormat: 'jwt-grant' })).toMatchObject({
      reason: 'policy.token_format_not_permitted',
    });
  });

  it('is signed by the keys of access tokens', () => {
    const policy = compileText(resource(`${short}  signingAlg: ES384\n`));
    expect(algorithmsOf(policy, 'access_token')).toEqual(['ES256', 'ES384']);
    expect(algorithmsOf(policy, 'jwt-svid')).toEqual([]);
  });
});
