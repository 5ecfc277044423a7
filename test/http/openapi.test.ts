/** The OpenAPI document: every route is in it, and `openapi/openapi.json` is what the routes say (`npm run openapi`). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorGuide } from '../../src/http/error-guide.ts';
import { openHouse, type TestHouse, testIssuer } from '../support/house.ts';

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
}

let house: TestHouse;
let document: {
  openapi: string;
  servers: unknown;
  components: { schemas: Record<string, { properties?: object }> };
  paths: Record<string, Record<string, Operation>>;
};

beforeAll(async () => {
  house = await openHouse([]);
  document = (await house.app.inject('/openapi.json')).json();
});
afterAll(() => house.close());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      route: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );

describe('GET /openapi.json', () => {
  it('is the file in openapi/', async () => {
    // Where it has drifted on purpose: npm run openapi
    const { servers: _servers, ...rest } = document; // the file is of no server in particular
    await expect(`${JSON.stringify(rest, undefined, 2)}\n`).toMatchFileSnapshot('../../openapi/openapi.json');
  });

  it('holds every route of the application, each with its words', () => {
    const registered = routesOf(house.app.printRoutes({ commonPrefix: false }));
    expect(registered.length).toBeGreaterThan(10);
    expect(operations().map(({ route }) => route)).toEqual(expect.arrayContaining(registered));
    for (const { route, operation } of operations()) {
      expect(operation, route).toMatchObject({
        operationId: expect.any(String),
        summary: expect.any(String),
        tags: [expect.any(String)],
      });
      expect(JSON.stringify(operation.responses), route).not.toContain('Default Response');
    }
  });

  it('gives each operation an id of its own', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('names the issuer as its server', () => {
    expect(document.servers).toEqual([{ url: testIssuer }]);
  });

  it('is OpenAPI 3.1, and resolves every reference within itself', () => {
    expect(document.openapi).toBe('3.1.0');
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to);
    expect(references.length).toBeGreaterThan(10);
    const named = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...new Set(references)].sort()).toEqual(named.sort());
  });

  it('names the fields of an audit event as the wire does', () => {
    expect(document.components.schemas.AuditEvent?.properties).toHaveProperty('policy_revision');
  });
});

describe('GET /docs', () => {
  it('shows every route and an anchor for each error code, with no script, under a policy that allows none', async () => {
    const response = await house.app.inject('/docs');
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toBe('text/html; charset=utf-8');
    const policy = String(response.headers['content-security-policy']);
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/]+={0,2}';/);
    expect(response.body).not.toMatch(/<script|javascript:|\son[a-z]+=|\sstyle=/i);
    for (const { code, sentence } of errorGuide) {
      expect(response.body).toContain(`id="${code}"`);
      expect(response.body).toContain(sentence.replaceAll("'", '&#39;'));
    }
    const shown = response.body.replaceAll('<wbr>', '');
    for (const path of Object.keys(document.paths)) expect(shown).toContain(`<code>${path}</code>`);
  });

  it('is where error_uri points', async () => {
    const refusal = await house.app.inject({ method: 'POST', url: '/oauth/token' });
    const { error_uri: uri } = refusal.json();
    const [page, anchor] = String(uri).split('#');
    expect(page).toBe(`${testIssuer}/docs`);
    expect((await house.app.inject('/docs')).body).toContain(`id="${anchor}"`);
  });
});

/** `GET /healthz` and so on, out of Fastify's own tree; HEAD and OPTIONS come with GET. */
function routesOf(tree: string): string[] {
  const routes: string[] = [];
  const stack: string[] = [];
  for (const line of tree.split('\n')) {
    const match = /^(?<indent>[│ ]*)[├└]── (?<part>\S*)(?: \((?<methods>[^)]*)\))?/.exec(line);
    if (match?.groups === undefined) continue;
    const { indent = '', part = '', methods } = match.groups;
    const depth = indent.length / 4;
    stack.splice(depth, stack.length, part);
    const path = stack.join('').replace(/:(\w+)/g, '{$1}');
    for (const method of methods?.split(', ') ?? []) {
      if (method !== 'HEAD' && method !== 'OPTIONS') routes.push(`${method} ${path}`);
    }
  }
  return routes;
}
