/** `/admin/v1/audit-events/{request_id}` and `/admin/v1/status`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditEventBody } from '../../../src/http/admin/audit-event-schema.ts';
import { newAddress, openHouse, type TestHouse, testIssuer } from '../../support/house.ts';
import { callAdmin, resource } from './admin-calls.ts';

let house: TestHouse;
beforeAll(async () => {
  house = await openHouse([resource('inventory')]);
});
afterAll(() => house.close());

describe('GET /admin/v1/audit-events/{request_id}', () => {
  it('opens the reason that the caller was not told', async () => {
    const refused = await house.app.inject({
      method: 'POST',
      url: '/api/v1/token',
      remoteAddress: newAddress(),
      headers: { authorization: 'Bearer not-a-token' },
      payload: { audience: 'https://inventory.test', scope: 'items:read' },
    });
    const { request_id: requestId, ...told } = refused.json();
    expect(JSON.stringify(told)).not.toContain('credential.');
    const response = await callAdmin(house.app, `/audit-events/${requestId}`);
    expect(response.statusCode).toBe(200);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.json()).toMatchObject({
      request_id: requestId,
      at: new Date(house.clock.now()).toISOString(),
      action: 'token.exchange',
      outcome: 'refused',
      reason: 'credential.malformed',
      error_code: 'invalid_token',
      audience: 'https://inventory.test',
      requested_scopes: ['items:read'],
    });
    expect(response.body).not.toContain('not-a-token');
  });

  it('records who read it', async () => {
    const first = await callAdmin(house.app, '/status');
    const requestId = String(first.headers['x-request-id']);
    const second = await callAdmin(house.app, `/audit-events/${requestId}`);
    expect(await house.eventOf(String(second.headers['x-request-id']))).toMatchObject({
      action: 'admin.audit.read',
      actor: 'bootstrap',
      summary: `read audit event ${requestId}`,
    });
  });

  it('answers 404 where there is none, and 400 to what is no request id', async () => {
    const absent = await callAdmin(house.app, '/audit-events/01890000-0000-7000-8000-000000000000');
    expect(absent.statusCode).toBe(404);
    expect(absent.json()).toMatchObject({
      type: 'urn:mintmark:problem:not-found',
      detail: expect.stringContaining('01890000-0000-7000-8000-000000000000'),
    });
    const malformed = await callAdmin(house.app, '/audit-events/1%27%20or%201=1');
    expect(malformed.statusCode).toBe(400);
    expect(malformed.json().type).toBe('urn:mintmark:problem:malformed-request');
  });

  it('answers an unknown path with a problem', async () => {
    const response = await callAdmin(house.app, '/nowhere');
    expect(response.statusCode).toBe(404);
    expect(response.headers['content-type']).toBe('application/problem+json');
  });
});

describe('auditEventBody', () => {
  it('renames every field and leaves the claims as they are', () => {
    expect(
      auditEventBody({
        requestId: 'r',
        at: 1_800_000_000_000,
        outcome: 'permitted',
        action: 'token.exchange',
        remoteAddress: '10.0.0.1',
        lane: 'bearer',
        credentialKind: 'platform-token',
        credentialHash: 'h',
        issuer: 'cluster',
        trustDomain: 'prod.test',
        identity: 'spiffe://prod.test/a',
        claims: { 'kubernetes.io': { podName: 'p' } },
        audience: 'a',
        resource: 'alpha',
        requestedScopes: ['x'],
        scopes: ['x'],
        grants: ['g'],
        reason: 'r',
        detail: 'd',
        errorCode: 'e',
        checks: [{ check: 'scope', grant: 'g', ok: true, expected: 'x', actual: 'x' }],
        policyRevision: 3,
        jti: 'j',
        tokenHash: 't',
        tokenExpiresAt: 1_800_000_300,
        kid: 'k',
        actor: 'bootstrap',
        summary: 's',
      }),
    ).toEqual({
      request_id: 'r',
      at: '2027-01-15T08:00:00.000Z',
      outcome: 'permitted',
      action: 'token.exchange',
      remote_address: '10.0.0.1',
      lane: 'bearer',
      credential_kind: 'platform-token',
      credential_hash: 'h',
      issuer: 'cluster',
      trust_domain: 'prod.test',
      identity: 'spiffe://prod.test/a',
      claims: { 'kubernetes.io': { podName: 'p' } },
      audience: 'a',
      resource: 'alpha',
      requested_scopes: ['x'],
      scopes: ['x'],
      grants: ['g'],
      reason: 'r',
      detail: 'd',
      error_code: 'e',
      checks: [{ check: 'scope', grant: 'g', ok: true, expected: 'x', actual: 'x' }],
      policy_revision: 3,
      jti: 'j',
      token_hash: 't',
      token_expires_at: '2027-01-15T08:05:00.000Z',
      kid: 'k',
      actor: 'bootstrap',
      summary: 's',
    });
  });
});

describe('GET /admin/v1/status', () => {
  it('says what this replica runs on', async () => {
    const response = await callAdmin(house.app, '/status');
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      issuer: testIssuer,
      versions: { mintmark: '0.1.0', node: process.versions.node },
      policy: {
        revision: 1,
        documents: { Issuer: 0, TrustDomain: 0, Resource: 1, Grant: 0 },
      },
      keys: expect.toSatisfy(
        (keys: { alg: string; signing: boolean }[]) =>
          keys.every(({ alg }) => alg === 'ES256') &&
          keys
            .map(({ signing }) => signing)
            .toSorted()
            .join() === 'false,true',
      ),
      issuer_keys: [],
      ready: true,
      checks: { database: 'ok', revocations: 'ok' },
    });
  });
});
