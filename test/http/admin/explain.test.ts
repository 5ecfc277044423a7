/** `/admin/v1/explain`: its answer is the exchange's own, and asking leaves nothing behind. */
import fc from 'fast-check';
import Fastify from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { explainRoutes } from '../../../src/http/admin/explain-routes.ts';
import { problemOf, sendProblem } from '../../../src/http/admin/problem.ts';
import type { HttpDependencies } from '../../../src/http/dependencies.ts';
import {
  newAddress,
  openHouse,
  postForm,
  type TestHouse,
  testAdminToken,
  testIssuer,
} from '../../support/house.ts';
import {
  type Issued,
  issue,
  leafExtensions,
  makeRoot,
  pemOf,
  rootJwk,
} from '../../support/svid-authority.ts';
import {
  bundleOf,
  githubClaims,
  kubernetesClaims,
  signToken,
  testNowMillis,
  testNowSeconds,
} from '../../support/tokens.ts';
import { clusterIssuer, orders, tellStory } from '../token/story.ts';
import { callAdmin } from './admin-calls.ts';

const grantOnBeta = (name: string, claims: object) => ({
  apiVersion: 'mintmark/v1',
  kind: 'Grant',
  metadata: { name },
  spec: { subjects: [{ spiffeId: orders }], resource: 'beta', scopes: ['beta'], claims },
});
let house: TestHouse;
let root: Issued;
let story: Awaited<ReturnType<typeof tellStory>>;
beforeAll(async () => {
  story = await tellStory();
  root = await makeRoot(testNowMillis);
  house = await openHouse([
    ...story.documents.filter(({ kind }) => kind !== 'TrustDomain'),
    {
      apiVersion: 'mintmark/v1',
      kind: 'TrustDomain',
      metadata: { name: 'prod.test' },
      spec: { bundle: { static: { keys: [...bundleOf(story.domainKey).keys, rootJwk(root)] } } },
    },
    {
      apiVersion: 'mintmark/v1',
      kind: 'Issuer',
      metadata: { name: 'reviewed' },
      spec: {
        platform: 'kubernetes',
        issuer: 'https://reviewed.test',
        keys: { tokenReview: { url: 'https://127.0.0.1:1', tokenFile: '/nowhere/token' } },
      },
    },
    {
      apiVersion: 'mintmark/v1',
      kind: 'Issuer',
      metadata: { name: 'aws' },
      spec: {
        platform: 'aws-caller-identity',
        issuer: 'https://sts.amazonaws.com',
        require: { account: '123456789012' },
      },
    },
    grantOnBeta('giving', { set: { tenant: 'acme' } }),
    grantOnBeta('asking', {
      allowRequested: { order_id: { enum: ['a1', 'b2'] }, tenant: { type: 'string', maxLength: 8 } },
    }),
  ]);
});
afterAll(() => house.close());

const explain = (payload: object) => callAdmin(house.app, '/explain', { method: 'POST', payload });
const askedFor = (asked: object) => ({ request: asked });

interface Asked {
  audience?: string;
  scope?: string;
  additional_claims?: object;
}
const asForm = ({ additional_claims: claims, ...asked }: Asked): Record<string, string> =>
  claims === undefined ? asked : { ...asked, additional_claims: JSON.stringify(claims) };

type Send = (token: string, asked: Asked) => ReturnType<typeof postForm>;
const lanes: Record<string, Send> = {
  client_assertion: (token, asked) =>
    postForm(house.app, {
      grant_type: 'client_credentials',
      client_assertion: token,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      ...asForm(asked),
    }),
  assertion: (token, asked) =>
    postForm(house.app, {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: token,
      ...asForm(asked),
    }),
  subject_token: (token, asked) =>
    postForm(house.app, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      ...asForm(asked),
    }),
  bearer: (token, asked) =>
    house.app.inject({
      method: 'POST',
      url: '/api/v1/token',
      remoteAddress: newAddress(),
      headers: { authorization: `Bearer ${token}` },
      payload: asked,
    }),
};

/** Asks both; their answers must be one. Returns the outcome, or the reason. */
async function compareWithExchange(token: string, lane: string, request: Asked): Promise<string> {
  const exchanged = await (lanes[lane] ?? expect.unreachable())(token, request);
  const explained = (await explain({ credential: token, lane, request })).json();
  const event = await house.eventOf(String(exchanged.headers['x-request-id']));
  expect(explained.checks).toEqual(event.checks ?? []);
  if (exchanged.statusCode === 200) {
    const claims = decodeJwt(exchanged.json().access_token);
    expect(claims).toMatchObject(request.additional_claims ?? {});
    expect(explained).toMatchObject({
      outcome: 'permitted',
      identity: { spiffe_id: claims.sub },
      audience: claims.aud,
      lifetime_seconds: exchanged.json().expires_in,
      scopes: exchanged.json().scope?.split(' ') ?? [],
    });
  } else {
    expect(explained).toMatchObject({ outcome: 'refused', reason: event.reason });
    expect(explained.identity?.spiffe_id).toBe(event.identity);
  }
  return explained.reason ?? explained.outcome;
}

describe('the answer for a credential', () => {
  const asked = fc.record(
    {
      audience: fc.constantFrom('alpha', 'beta', 'gamma'),
      scope: fc.constantFrom('alpha', 'profile alpha', 'email', 'beta', 'two  spaces'),
    },
    { requiredKeys: [] },
  );
  const audiences = fc.constantFrom(testIssuer, [testIssuer, 'https://other.test'], 'https://other.test');
  const lane = fc.constantFrom(...Object.keys(lanes));
  const additionalClaims = fc.dictionary(
    fc.constantFrom('order_id', 'tenant', 'note', 'sub', 'a b'),
    fc.constantFrom<unknown>('a1', 'acme', 'other', 1, null, 'x'.repeat(5000)),
    { maxKeys: 2 },
  );

  it('is the outcome of the exchange, on every lane', async () => {
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('svid', 'platform token', 'github token'),
        lane,
        asked,
        audiences,
        fc.integer({ min: -1, max: 900 }),
        fc.boolean(),
        async (kind, lane, request, audience, remainingSeconds, isForged) => {
          const signer = isForged ? await tellStory() : story;
          const exp = testNowSeconds + remainingSeconds;
          const token =
            kind === 'svid'
              ? await signer.svid(undefined, audience, { exp })
              : kind === 'platform token'
                ? await signToken(signer.clusterKey, kubernetesClaims(clusterIssuer, audience, { exp }))
                : await signToken(signer.clusterKey, githubClaims(audience, { exp }));
          const outcome = await compareWithExchange(token, lane, request);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        },
      ),
      { numRuns: 300, seed: 20261124 },
    );
    expect(outcomes.get('permitted')).toBeGreaterThan(10);
    for (const reason of [
      'request.scope_malformed',
      'credential.signature_invalid',
      'credential.expired',
      'credential.unknown_issuer',
      'credential.audience_mismatch',
      'credential.audience_not_sole',
      'policy.unknown_resource',
      'policy.no_grant',
      'policy.scope_not_permitted',
    ]) {
      expect([...outcomes.keys()]).toContain(reason);
    }
  });

  it('is the outcome of the exchange whatever claims are asked for besides', async () => {
    const outcomes = new Set<string>();
    const token = await story.svid();
    const target = fc.constantFrom(
      { audience: 'alpha' },
      { audience: 'beta' },
      { audience: 'beta', scope: 'beta' },
    );
    const scope = fc.constantFrom({}, {}, {}, { scope: 'two  spaces' });
    await fc.assert(
      fc.asyncProperty(lane, target, scope, additionalClaims, async (lane, target, scope, claims) => {
        outcomes.add(
          await compareWithExchange(token, lane, { ...target, ...scope, additional_claims: claims }),
        );
      }),
      { numRuns: 300, seed: 20261124 },
    );
    expect([...outcomes].sort()).toEqual([
      'permitted',
      'request.claim_conflict',
      'request.claim_invalid',
      'request.claim_not_allowed',
      'request.claims_too_large',
      'request.scope_malformed',
    ]);
  });

  it('uses no one-time use up, and keeps nothing of the credential', async () => {
    const claims = {
      iss: 'https://once.test',
      sub: 'canary-sub',
      aud: testIssuer,
      jti: crypto.randomUUID(),
      secret: 'canary-claim',
      iat: testNowSeconds,
      exp: testNowSeconds + 300,
    };
    const token = await signToken(story.clusterKey, claims);
    for (let times = 0; times < 2; times++) {
      const response = await explain({ credential: token, ...askedFor({ audience: 'alpha' }) });
      expect(response.headers['cache-control']).toBe('no-store');
      expect(response.json()).toMatchObject({ outcome: 'permitted', identity: { one_time: true } });
      expect(response.body).not.toContain('canary-claim');
      expect(response.body).not.toContain(token);
      const event = await house.eventOf(String(response.headers['x-request-id']));
      expect(event).toMatchObject({
        action: 'admin.explain',
        outcome: 'permitted',
        actor: 'bootstrap',
        summary: 'explained a credential: permitted',
      });
      expect(JSON.stringify(event)).not.toContain('canary');
    }
    expect(house.log()).not.toContain(token);
    expect(house.log()).not.toContain('canary-claim');
    const send = lanes.subject_token ?? expect.unreachable();
    expect((await send(token, { audience: 'alpha' })).statusCode).toBe(200);
    const again = await send(token, { audience: 'alpha' });
    expect(await house.eventOf(again.json().request_id)).toMatchObject({ reason: 'credential.replayed' });
  });

  it('is left to an exchange where the platform itself would have to be asked', async () => {
    const reviewed = await signToken(story.clusterKey, kubernetesClaims('https://reviewed.test', testIssuer));
    const signedRequest = encodeURIComponent(
      JSON.stringify({ url: 'https://sts.us-east-1.amazonaws.com', method: 'POST', headers: [] }),
    );
    const response = await explain({ credential: reviewed, ...askedFor({ audience: 'alpha' }) });
    expect(response.json()).toMatchObject({
      outcome: 'unchecked',
      detail: expect.stringContaining('only an exchange'),
      grants: [],
      checks: [],
    });
    // What is no such request at all is refused before anyone would be asked.
    const malformed = await explain({ credential: signedRequest, ...askedFor({ audience: 'alpha' }) });
    expect(malformed.json().outcome).toBe('refused');
  });
});

describe('the answer for an X.509-SVID', () => {
  it('is that of its chain, though nobody has shown its key', async () => {
    const stranger = await makeRoot(testNowMillis, { name: 'CN=Stranger' });
    const explained = async (signer: Issued) => {
      const leaf = await issue(testNowMillis, signer, { extensions: leafExtensions(orders) });
      const { cert } = await pemOf([leaf]);
      return explain({ credential: cert, ...askedFor({ audience: 'alpha' }) });
    };
    expect((await explained(root)).json()).toMatchObject({
      outcome: 'permitted',
      identity: { spiffe_id: orders, credential_kind: 'x509-svid', trust_domain: 'prod.test' },
    });
    expect((await explained(stranger)).json()).toMatchObject({
      outcome: 'refused',
      reason: 'credential.certificate_untrusted',
    });
  });

  it.each([
    [
      'what is no certificate',
      { credential: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' },
    ],
    [
      'a lane',
      { credential: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', lane: 'bearer' },
    ],
  ])('is refused with %s', async (_title, given) => {
    const response = await explain({ ...given, ...askedFor({}) });
    expect([response.statusCode, response.json().type]).toEqual([
      400,
      'urn:mintmark:problem:malformed-request',
    ]);
    expect(response.body).not.toContain('AAAA');
  });
});

describe('the answer for claims', () => {
  const claims = {
    sub: 'system:serviceaccount:payments:api',
    'kubernetes.io': { namespace: 'payments', serviceaccount: { name: 'api', uid: '1' } },
  };

  it('says which identity they would give and what it would get', async () => {
    const response = await explain({ issuer: 'cluster', claims, ...askedFor({ audience: 'alpha' }) });
    expect(response.json()).toMatchObject({
      outcome: 'permitted',
      identity: { spiffe_id: 'spiffe://mintmark.test/cluster/ns/payments/sa/api', issuer: 'cluster' },
      resource: 'alpha',
      scopes: ['profile'],
      lifetime_seconds: 120,
      grants: [{ grant: 'api-alpha', contributes: true }],
    });
    expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
      summary: 'explained claims: permitted',
    });
  });

  it('names for each grant the first thing that failed, with expected and actual', async () => {
    const scope = await explain({
      issuer: 'cluster',
      claims,
      ...askedFor({ audience: 'alpha', scope: 'email' }),
    });
    expect(scope.json()).toMatchObject({
      outcome: 'refused',
      reason: 'policy.scope_not_permitted',
      detail: 'scope: expected among: alpha profile, actual not permitted: email',
      grants: [
        {
          grant: 'api-alpha',
          contributes: false,
          failed: { check: 'grant.scopes', expected: 'among: alpha profile', actual: 'asked for: email' },
        },
      ],
    });
    expect(scope.json().checks).toContainEqual(
      expect.objectContaining({ check: 'grant.subject', grant: 'orders-alpha', ok: false }),
    );
    const stranger = await explain({
      spiffe_id: 'spiffe://prod.test/order',
      ...askedFor({ audience: 'alpha' }),
    });
    expect(stranger.json()).toMatchObject({ outcome: 'refused', reason: 'policy.no_grant' });
    expect(stranger.json().grants[0]).toEqual({
      grant: 'orders-alpha',
      contributes: false,
      failed: {
        check: 'grant.subject',
        grant: 'orders-alpha',
        ok: false,
        expected: `spiffeId ${orders}`,
        actual: 'spiffe://prod.test/order',
      },
    });
  });

  it.each([
    ['permitted', { order_id: 'a1' }, undefined],
    ['refused', { order_id: 'c3' }, 'request.claim_invalid'],
    ['refused', { note: 'x' }, 'request.claim_not_allowed'],
    ['refused', { iss: 'x' }, 'request.claim_not_allowed'],
    ['refused', { tenant: 'other' }, 'request.claim_conflict'],
    ['refused', { order_id: 'x'.repeat(4096) }, 'request.claims_too_large'],
  ])('is %s where %j is asked for besides', async (outcome, claims, reason) => {
    const asked = { audience: 'beta', scope: 'beta', additional_claims: claims };
    const answer = (await explain({ spiffe_id: orders, ...askedFor(asked) })).json();
    expect([answer.outcome, answer.reason]).toEqual([outcome, reason]);
    expect(answer.added_claims).toEqual(reason === undefined ? { tenant: 'acme', ...claims } : undefined);
  });

  it('suggests the audience that was meant', async () => {
    const response = await explain({ spiffe_id: orders, ...askedFor({ audience: 'alpah' }) });
    expect(response.json()).toMatchObject({
      reason: 'policy.unknown_resource',
      detail: 'audience: did you mean "alpha"?',
      identity: { spiffe_id: orders },
    });
  });

  it('decides at another time where one is named', async () => {
    const at = new Date(testNowMillis + 86_400_000).toISOString();
    const late = await explain({
      spiffe_id: orders,
      claims: { exp: testNowSeconds + 60 },
      at,
      ...askedFor({ audience: 'alpha' }),
    });
    expect(late.json()).toMatchObject({ outcome: 'refused', reason: 'credential.expired', at });
    const now = await explain({
      spiffe_id: orders,
      claims: { exp: testNowSeconds + 60 },
      ...askedFor({ audience: 'alpha' }),
    });
    expect(now.json()).toMatchObject({ outcome: 'permitted', lifetime_seconds: 60 });
  });
});

describe('a question that cannot be read', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(20)}1${'}'.repeat(20)}`);
  it.each([
    ['nothing given', {}],
    ['two things given', { issuer: 'cluster', spiffe_id: orders, claims: {} }],
    ['an issuer without claims', { issuer: 'cluster' }],
    ['claims beside a credential', { credential: 'x', claims: {} }],
    ['a lane without a credential', { spiffe_id: orders, lane: 'bearer' }],
    ['a certificate’s lane', { credential: 'x', lane: 'client_certificate' }],
    ['claims that are too deep', { issuer: 'cluster', claims: deep }],
    ['additional claims that are a list', { spiffe_id: orders, request: { additional_claims: ['x'] } }],
    ['an unknown field', { spiffe_id: orders, colour: 'red' }],
    ['a time without its zone', { spiffe_id: orders, at: '2026-11-24T00:00:00' }],
  ])('is refused: %s', async (_title, given) => {
    const response = await explain({ ...askedFor({ audience: 'alpha' }), ...given });
    expect([response.statusCode, response.json().type]).toEqual([
      400,
      'urn:mintmark:problem:malformed-request',
    ]);
  });

  it('is no question of a stranger', async () => {
    const response = await house.app.inject({
      method: 'POST',
      url: '/admin/v1/explain',
      remoteAddress: newAddress(),
      headers: { authorization: `Bearer ${testAdminToken}x` },
      payload: { spiffe_id: orders, request: {} },
    });
    expect(response.statusCode).toBe(401);
    expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
      action: 'admin.explain',
      reason: 'admin.token_refused',
    });
  });
});

it('takes a credential only from a caller who may read the audit besides', async () => {
  const explainer = vi.fn(async () => ({ outcome: 'unchecked' as const, grants: [] }));
  const parts = {
    explain: explainer,
    clock: house.clock,
    policyBook: { refresh: async () => {}, current: () => ({ revision: 7 }) },
  } as unknown as HttpDependencies;
  const app = Fastify();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => sendProblem(problemOf(error), request, reply));
  const reader = { name: 'reader', scopes: new Set(['policy:read'] as const) };
  const gate = () => async (request: { adminCaller: unknown }) => {
    request.adminCaller = reader;
  };
  await app.register(explainRoutes(gate, parts));
  const ask = (payload: object) => app.inject({ method: 'POST', url: '/explain', payload });
  const refused = await ask({ credential: 'x', request: {} });
  expect([refused.statusCode, refused.json().type]).toEqual([403, 'urn:mintmark:problem:forbidden']);
  expect(explainer).not.toHaveBeenCalled();
  expect((await ask({ spiffe_id: orders, request: {} })).json()).toMatchObject({ policy_revision: 7 });
  expect(explainer).toHaveBeenCalledTimes(1);
});
