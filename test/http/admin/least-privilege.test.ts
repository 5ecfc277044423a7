/** Least privilege: each admin route opens to exactly its scopes. A route of the OpenAPI document without a row here fails. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdminScope, adminScopes } from '../../../src/core/policy/admin-resource.ts';
import { openHouse, type TestHouse } from '../../support/house.ts';
import { resource } from './admin-calls.ts';
import { type AdminStory, adminGrant, adminToken, callWith, tellAdminStory } from './admin-story.ts';

/** The scopes that each route needs, all of them; `scopes.test.ts` has what the content of a change needs besides. */
const needed: Readonly<Record<string, readonly AdminScope[]>> = {
  'GET /policy': ['policy:read'],
  'PUT /policy': ['policy:write'],
  'GET /policy/revisions': ['policy:read'],
  'GET /policy/revisions/{revision}': ['policy:read'],
  'POST /policy/revisions/{revision}/rollback': ['policy:write'],
  'GET /issuers': ['policy:read'],
  'GET /issuers/{name}': ['policy:read'],
  'PUT /issuers/{name}': ['policy:write'],
  'DELETE /issuers/{name}': ['policy:write'],
  'POST /issuers/{name}/check': ['policy:read', 'audit:read'],
  'GET /trust-domains': ['policy:read'],
  'GET /trust-domains/{name}': ['policy:read'],
  'PUT /trust-domains/{name}': ['policy:write'],
  'DELETE /trust-domains/{name}': ['policy:write'],
  'GET /resources': ['policy:read'],
  'GET /resources/{name}': ['policy:read'],
  'PUT /resources/{name}': ['policy:write'],
  'DELETE /resources/{name}': ['policy:write'],
  'GET /grants': ['policy:read'],
  'GET /grants/{name}': ['policy:read'],
  'PUT /grants/{name}': ['policy:write'],
  'DELETE /grants/{name}': ['policy:write'],
  'GET /audit-events': ['audit:read'],
  'GET /audit-events/{request_id}': ['audit:read'],
  'POST /explain': ['policy:read'],
  'GET /revocations': ['tokens:revoke'],
  'POST /revocations': ['tokens:revoke'],
  'GET /status': ['status:read'],
  'GET /keys': ['keys:read'],
  'POST /keys/rotate': ['keys:rotate'],
  'POST /keys/{kid}/revoke': ['keys:rotate'],
};
/** Open to the workload that the Issuer document names, and to no admin: `issuer-keys.test.ts`. */
const notForAdmins = 'PUT /issuers/{name}/jwks';
const rows = Object.entries(needed);

let story: AdminStory;
let house: TestHouse;
/** A token for the scopes, minted once. */
const tokens = new Map<string, Promise<string>>();
const tokenFor = (scopes: readonly AdminScope[]) => {
  const key = scopes.join(' ');
  const token = tokens.get(key) ?? adminToken(story, house.app, scopes);
  tokens.set(key, token);
  return token;
};

beforeAll(async () => {
  story = await tellAdminStory();
  house = await openHouse([...story.documents, adminGrant()]);
});
afterAll(() => house.close());

/** A request that the gate alone decides on: what lies behind it may well find something wrong with it. */
async function call(route: string, scopes: readonly AdminScope[]) {
  const [method = '', path = ''] = route.split(' ');
  const url = path
    .replace('{name}', 'least')
    .replace('{revision}', '1')
    .replace('{kid}', 'least')
    .replace('{request_id}', '01890000-0000-7000-8000-000000000000');
  const hasBody = method === 'PUT' || method === 'POST';
  return callWith(house.app, await tokenFor(scopes), url, {
    method: method as 'GET' | 'PUT' | 'POST' | 'DELETE',
    ...(hasBody
      ? { headers: { 'content-type': 'application/json' }, payload: JSON.stringify(resource('least')) }
      : {}),
  });
}

describe('the table', () => {
  it('has a row for each route of the admin API, and no other', async () => {
    const { paths } = (await house.app.inject('/openapi.json')).json<{ paths: Record<string, object> }>();
    const routes = Object.entries(paths)
      .filter(([path]) => path.startsWith('/admin/v1/'))
      .flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.slice('/admin/v1'.length)}`),
      );
    expect(routes.length).toBeGreaterThan(15);
    expect([...rows.map(([route]) => route), notForAdmins].toSorted()).toEqual(routes.toSorted());
  });
});

describe.each(rows)('%s', (route, scopes) => {
  it('opens to its scopes alone', async () => {
    const response = await call(route, scopes);
    expect([401, 403]).not.toContain(response.statusCode);
    expect(response.statusCode).toBeLessThan(500);
  });

  it.each([...scopes])('stays shut without %s, whatever else the token may', async (missing) => {
    const response = await call(
      route,
      adminScopes.filter((scope) => scope !== missing),
    );
    expect(response.statusCode).toBe(403);
    expect(response.headers['www-authenticate']).toContain(
      `error="insufficient_scope", scope="${scopes.join(' ')}"`,
    );
    expect(response.json()).toMatchObject({
      type: 'urn:mintmark:problem:forbidden',
      detail: `This needs the scope ${missing}.`,
    });
    expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
      outcome: 'refused',
      reason: 'admin.scope_missing',
    });
  });
});
