/** Who gets into the admin API, what the others are told, and what the audit keeps of either. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signingAlgorithms } from '../../../src/core/algorithm.ts';
import { dpopChallenge } from '../../support/dpop.ts';
import { newAddress, openHouse, type TestHouse, testAdminToken, testIssuer } from '../../support/house.ts';
import { openAdminAlone } from './admin-alone.ts';
import { callAdmin, putPolicy, resource } from './admin-calls.ts';

let house: TestHouse;
beforeAll(async () => {
  house = await openHouse([]);
});
afterAll(() => house.close());

const metadataUrl = `${testIssuer}/.well-known/oauth-protected-resource/admin/v1`;
const withToken = (authorization: string) => callAdmin(house.app, '/policy', { headers: { authorization } });

describe('the gate', () => {
  it('lets the bootstrap token in, whatever the case of the scheme, and records the use', async () => {
    for (const scheme of ['Bearer', 'bearer']) {
      const response = await withToken(`${scheme} ${testAdminToken}`);
      expect(response.statusCode).toBe(200);
      expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
        action: 'admin.policy.read',
        outcome: 'permitted',
        actor: 'bootstrap',
        summary: 'read the policy at revision 0',
      });
    }
  });

  it.each([
    ['a wrong token', `Bearer ${testAdminToken}x`],
    ['a prefix of the token', `Bearer ${testAdminToken.slice(0, -1)}`],
    ['the token in upper case', `Bearer ${testAdminToken.toUpperCase()}`],
  ])('refuses %s, and records that', async (_name, authorization) => {
    const response = await withToken(authorization);
    const requestId = String(response.headers['x-request-id']);
    expect(response.statusCode).toBe(401);
    expect(response.headers['content-type']).toBe('application/problem+json');
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.headers['www-authenticate']).toBe(
      `Bearer resource_metadata="${metadataUrl}", error="invalid_token", ${dpopChallenge}`,
    );
    expect(response.json()).toEqual({
      type: 'urn:mintmark:problem:unauthorized',
      title: 'A valid admin token is needed',
      status: 401,
      detail: 'Send the admin token as "Authorization: Bearer <token>".',
      request_id: requestId,
    });
    const event = await house.eventOf(requestId);
    expect(event).toMatchObject({ outcome: 'refused', reason: 'admin.token_refused' });
    expect(event).not.toHaveProperty('actor');
  });

  it.each([
    ['no header', {}],
    ['another scheme', { authorization: `Basic ${testAdminToken}` }],
    ['the bare token', { authorization: testAdminToken }],
    ['two tokens', { authorization: `Bearer ${testAdminToken} ${testAdminToken}` }],
  ])('refuses %s, without an error code in the challenge', async (_name, headers) => {
    const response = await house.app.inject({
      url: '/admin/v1/status',
      remoteAddress: newAddress(),
      headers,
    });
    expect(response.statusCode).toBe(401);
    expect(response.headers['www-authenticate']).toBe(
      `Bearer resource_metadata="${metadataUrl}", ${dpopChallenge}`,
    );
    expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
      action: 'admin.status.read',
      reason: 'admin.token_missing',
    });
  });

  it('refuses the token in the query string', async () => {
    const response = await house.app.inject({
      url: `/admin/v1/policy?access_token=${testAdminToken}`,
      remoteAddress: newAddress(),
    });
    expect(response.statusCode).toBe(401);
  });

  it('does not read the body of a stranger', async () => {
    const response = await callAdmin(house.app, '/policy', {
      method: 'PUT',
      headers: { authorization: 'Bearer wrong', 'content-type': 'application/json' },
      payload: 'not JSON at all',
    });
    expect(response.statusCode).toBe(401);
  });

  it('caps refusals by address, keeps none past the cap, and still lets the right token in', async () => {
    const remoteAddress = newAddress();
    const guess = () =>
      callAdmin(house.app, '/status', { remoteAddress, headers: { authorization: 'Bearer guess' } });
    let response = await guess();
    expect(response.statusCode).toBe(401);
    for (let tries = 0; tries < 500 && response.statusCode === 401; tries++) response = await guess();
    const requestId = String(response.headers['x-request-id']);
    expect(response.statusCode).toBe(429);
    expect(response.headers['retry-after']).toBe('60');
    expect(response.json()).toMatchObject({
      type: 'urn:mintmark:problem:too-many-refusals',
      status: 429,
      request_id: requestId,
    });
    await expect(house.eventOf(requestId)).rejects.toThrow(/not-found/);
    expect((await callAdmin(house.app, '/status', { remoteAddress })).statusCode).toBe(200);
  });

  it('writes the token into no answer and no log line', async () => {
    const answers = [
      await withToken(`Bearer ${testAdminToken}`),
      await withToken(`Bearer ${testAdminToken} ${testAdminToken}`),
      await callAdmin(house.app, '/nowhere'),
      await putPolicy(house.app, [{ kind: 'Nonsense' }]),
    ];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 401, 404, 422]);
    for (const answer of answers)
      expect(answer.body + JSON.stringify(answer.headers)).not.toContain(testAdminToken);
    expect(house.log()).not.toContain(testAdminToken);
  });
});

describe('the bootstrap token that is off', () => {
  it('lets nobody in', async () => {
    const closed = await openHouse([], { MINTMARK_ADMIN_TOKEN: 'off' });
    try {
      for (const token of ['off', 'undefined', '', testAdminToken]) {
        const response = await callAdmin(closed.app, '/policy', {
          headers: { authorization: `Bearer ${token}` },
        });
        expect(response.statusCode).toBe(401);
      }
    } finally {
      await closed.close();
    }
  });
});

describe('the metadata of the protected resource', () => {
  it('is where the challenge points', async () => {
    const response = await house.app.inject(new URL(metadataUrl).pathname);
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      resource: `${testIssuer}/admin/v1`,
      authorization_servers: [testIssuer],
      scopes_supported: [
        'policy:read',
        'policy:write',
        'policy:admin',
        'keys:read',
        'keys:rotate',
        'audit:read',
        'tokens:revoke',
        'status:read',
      ],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: [...signingAlgorithms],
    });
  });
});

describe('an audit that cannot be written', () => {
  it('withholds the answer, and makes no change', async () => {
    const { app, breakAudit, storedPolicy } = await openAdminAlone();
    const read = () => callAdmin(app, '/policy');
    expect((await read()).statusCode).toBe(200);
    expect((await putPolicy(app, [resource('one')])).statusCode).toBe(200);
    const before = await storedPolicy();
    await breakAudit();
    for (const response of [await read(), await putPolicy(app, [resource('two')])]) {
      expect(response.statusCode).toBe(503);
      expect(response.headers['retry-after']).toBe('1');
      expect(response.headers.etag).toBeUndefined();
      expect(response.json()).toMatchObject({
        type: 'urn:mintmark:problem:unavailable',
        detail: expect.stringContaining('may have been made'),
      });
      expect(response.body).not.toContain('one.test');
    }
    expect(await storedPolicy()).toEqual(before);
    await app.close();
  });
});
