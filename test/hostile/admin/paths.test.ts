/** Ways around the gate by how a path, a method or a header is spelt: each leads to the gate or to nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callAdmin, putPolicy, resource } from '../../http/admin/admin-calls.ts';
import { newAddress, openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';
import { readToEnd } from '../../support/raw-http.ts';

const canary = 'canary-resource';
let house: TestHouse;
let url: string;
beforeAll(async () => {
  house = await openHouse([]);
  url = await house.app.listen({ port: 0, host: '127.0.0.1' });
  expect((await putPolicy(house.app, [resource(canary)])).statusCode).toBe(200);
});
afterAll(() => house.close());

const asStranger = (method: string, url: string, headers: Record<string, string> = {}) =>
  house.app.inject({
    method: method as 'GET',
    url,
    remoteAddress: newAddress(),
    headers: { 'content-type': 'application/json', ...headers },
    ...(method === 'GET' || method === 'HEAD' ? {} : { payload: { documents: [] } }),
  });

describe('a stranger', () => {
  it('is not who the policy is shown to', async () => {
    const response = await callAdmin(house.app, '/policy');
    expect(response.statusCode).toBe(200);
    expect(response.body).toContain(canary);
  });

  it.each([
    ['/admin/v1/policy', 401],
    ['/admin/v1/%70olicy', 401],
    ['/admin/v1/./policy', 404],
    ['/docs/../admin/v1/policy', 404],
    ['/admin/v1/policy?x=/healthz', 401],
    ['/admin/v1/policy#/healthz', 401],
    ['http://127.0.0.1/admin/v1/policy', 401],
    ['//admin/v1/policy', 404],
    ['/admin//v1/policy', 404],
    ['/admin/v1/policy/', 404],
    ['/ADMIN/v1/policy', 404],
    ['/admin%2fv1%2fpolicy', 404],
    ['/admin/v1%2f..%2fpolicy', 404],
    ['/admin\\v1\\policy', 404],
    ['/admin/v1/policy;/healthz', 404],
    ['/admin/v1/policy%00', 404],
    ['/healthz/..%2fadmin/v1/policy', 404],
  ])('reads nothing at %s', async (target, status) => {
    // Over a socket: `inject` would tidy the path up before it is sent.
    const answer = await readToEnd(url, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain(canary);
  });

  it.each(['HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'QUERY', 'MKCOL'])(
    'does nothing by %s',
    async (method) => {
      const response = await asStranger(method, '/admin/v1/policy');
      expect([400, 401, 404]).toContain(response.statusCode);
      expect(response.headers).not.toHaveProperty('etag');
      expect(response.headers).not.toHaveProperty('access-control-allow-origin');
      expect((await callAdmin(house.app, '/policy')).body).toContain(canary);
    },
  );

  it.each([
    { 'x-http-method-override': 'PUT' },
    { 'x-original-url': '/healthz' },
    { 'x-rewrite-url': '/healthz' },
    { 'x-forwarded-for': '127.0.0.1' },
    { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'localhost' },
    { cookie: `token=${testAdminToken}` },
    { 'x-api-key': testAdminToken },
    { 'proxy-authorization': `Bearer ${testAdminToken}` },
    { authorization: `Bearer\t${testAdminToken}` },
    { authorization: `Bearer ${testAdminToken},` },
    { authorization: 'Bearer undefined' },
    { authorization: `Bearer ${testAdminToken}\u00a0` },
  ])('gets in by none of these headers: %j', async (headers) => {
    for (const method of ['GET', 'PUT']) {
      const response = await asStranger(method, '/admin/v1/policy', headers);
      expect(response.statusCode).toBe(401);
      const { reason, outcome, actor } = await house.eventOf(String(response.headers['x-request-id']));
      expect([outcome, actor]).toEqual(['refused', undefined]);
      expect(['admin.token_missing', 'admin.token_refused']).toContain(reason);
    }
    expect((await callAdmin(house.app, '/policy')).body).toContain(canary);
    expect(house.log()).not.toContain(testAdminToken);
  });
});
