/** Conditions and observed documents, as the caller and the admin see them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, postForm, type TestHouse, testIssuer } from '../../support/house.ts';
import { jwksOf, signToken, times } from '../../support/tokens.ts';
import { tellStory } from './story.ts';

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});
const onMain = 'claims.ref == "refs/heads/main"';

describe('conditions and observed documents', () => {
  let story: Awaited<ReturnType<typeof tellStory>>;
  let house: TestHouse;
  beforeAll(async () => {
    story = await tellStory();
    const issuer = (name: string, fields: object) =>
      document('Issuer', name, {
        platform: 'oidc',
        issuer: `https://${name}.test`,
        keys: { jwks: jwksOf(story.clusterKey) },
        ...fields,
      });
    const grant = (name: string, fields: object) =>
      document('Grant', name, {
        subjects: [{ issuer: 'ci' }],
        resource: 'beta',
        scopes: ['beta'],
        ...fields,
      });
    house = await openHouse([
      ...story.documents,
      issuer('ci', { condition: 'claims.environment != "fork"', auditClaims: ['ref'] }),
      issuer('trial', { mode: 'observe' }),
      grant('ci-beta', { condition: onMain }),
      grant('ci-alpha', { resource: 'alpha', scopes: ['alpha'], mode: 'observe' }),
      grant('trial-beta', { subjects: [{ issuer: 'trial' }] }),
    ]);
  });
  afterAll(() => house.close());

  const ask = async (issuer: string, claims: object, target = 'beta') => {
    const token = await signToken(story.clusterKey, {
      iss: `https://${issuer}.test`,
      sub: 'job-1',
      aud: testIssuer,
      ...times(300),
      ...claims,
    });
    return postForm(house.app, {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: token,
      audience: target,
      scope: target,
    });
  };
  const refusalOf = async (response: Awaited<ReturnType<typeof ask>>) => {
    const { error, request_id } = response.json();
    const event = await house.eventOf(request_id);
    return { status: response.statusCode, error, event };
  };
  const main = { ref: 'refs/heads/main', environment: 'production' };

  it('give a token where all holds', async () => {
    expect((await ask('ci', main)).statusCode).toBe(200);
  });

  it('refuse a credential that the issuer’s condition does not hold for, without a word of it to the caller', async () => {
    const response = await ask('ci', { ...main, environment: 'fork' });
    expect(response.body).not.toMatch(/condition|environment/);
    const { status, error, event } = await refusalOf(response);
    expect([status, error]).toEqual([400, 'invalid_grant']);
    expect(event).toMatchObject({
      reason: 'credential.condition_unmet',
      detail: 'condition claims.environment != "fork": false',
    });
    expect((await refusalOf(await ask('ci', { ref: main.ref }))).event).toMatchObject({
      reason: 'credential.condition_unmet',
      detail: 'condition claims.environment != "fork": claims.environment is missing',
    });
  });

  it('refuse where the grant’s condition does not hold, and record why', async () => {
    const { status, error, event } = await refusalOf(await ask('ci', { ...main, ref: 'refs/heads/dev' }));
    expect([status, error]).toEqual([400, 'invalid_target']);
    expect(event).toMatchObject({ reason: 'policy.no_grant' });
    expect(event.checks).toContainEqual({
      check: 'grant.condition',
      grant: 'ci-beta',
      ok: false,
      expected: onMain,
      actual: 'false; ref "refs/heads/dev"',
    });
  });

  it('record what an observed grant would give', async () => {
    const { error, event } = await refusalOf(await ask('ci', main, 'alpha'));
    expect([error, event.reason]).toEqual(['invalid_target', 'policy.no_grant']);
    expect(event.checks).toContainEqual({
      check: 'grant.observed',
      grant: 'ci-alpha',
      ok: true,
      expected: 'mode: enforce',
      actual: 'mode: observe; would give alpha',
    });
  });

  it('record whom an observed issuer vouches for, and refuse', async () => {
    const { status, error, event } = await refusalOf(await ask('trial', {}));
    expect([status, error]).toEqual([400, 'unauthorized_client']);
    expect(event).toMatchObject({
      reason: 'policy.issuer_observed',
      issuer: 'trial',
      identity: expect.stringMatching(/\/trial\/job-1$/),
      resource: 'beta',
    });
    expect(event.checks).toContainEqual(
      expect.objectContaining({
        check: 'issuer.observed',
        actual: 'trial: mode: observe; would be permitted',
      }),
    );
  });
});
