/** What the exchange does when one of its parts fails: nothing unrecorded leaves, and every failure is an OAuthError. */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import type { Attempt } from '../../src/core/attempt.ts';
import type { AuditEvent } from '../../src/core/audit.ts';
import { OAuthError } from '../../src/core/error.ts';
import { createExchange, type ExchangeParts } from '../../src/core/exchange.ts';
import { proveIdentity } from '../../src/core/identity.ts';
import { compilePolicy } from '../../src/core/policy/compile.ts';
import { sourcesFromStored } from '../../src/core/policy/source.ts';
import type { Verify } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { parseSpiffeId } from '../../src/core/spiffe-id.ts';
import { signDraft } from '../../src/core/token.ts';
import { testNowMillis, testNowSeconds } from '../support/tokens.ts';

const spiffeId = parseSpiffeId('spiffe://prod.test/orders') ?? expect.unreachable();

const policy = compilePolicy(
  sourcesFromStored(
    [
      ['TrustDomain', 'prod.test', { bundle: { url: 'https://bundle.test', profile: 'https_web' } }],
      ['Resource', 'alpha', { audience: 'alpha', scopes: ['read'] }],
      ['Grant', 'orders-alpha', { subjects: [{ spiffeId }], resource: 'alpha', scopes: ['read'] }],
    ].map(([kind, name, spec]) => ({
      kind: kind as 'Grant',
      name: name as string,
      managedBy: 'rest',
      body: JSON.parse(JSON.stringify({ apiVersion: 'mintmark/v1', kind, metadata: { name }, spec })),
    })),
  ),
  {
    issuer: 'https://sts.test',
    trustDomain: 'mintmark.test',
    tokenEndpoint: 'https://sts.test/oauth/token',
    platforms: [],
  },
  7,
);

const attempt: Attempt = {
  requestId: '01a20dd5-ef7f-747e-b794-161d2e4ae67e',
  remoteAddress: '192.0.2.1',
  read: () => ({
    credential: { lane: 'bearer', token: new Secret('canary-credential'), declaredType: 'any' },
    clientAssertion: undefined,
    clientId: undefined,
    audience: 'alpha',
    scopes: ['read'],
    isTokenExchange: false,
  }),
};

/** Parts that all work, but for those that the test breaks. */
function house(broken: Partial<ExchangeParts> = {}) {
  const events: AuditEvent[] = [];
  let signed = 0;
  const signer = {
    kid: 'k1',
    algorithm: 'ES256',
    sign: async () => {
      signed++;
      return new Uint8Array(64);
    },
  } as const;
  const genuine: Verify = async () =>
    proveIdentity({
      spiffeId,
      credentialKind: 'jwt-svid',
      trustDomain: 'prod.test',
      claims: {},
      auditClaims: {},
      audiences: ['https://sts.test'],
      clientIds: [spiffeId],
      expiresAt: testNowSeconds + 90,
      onceKey: 'once',
    });
  const { verify = genuine } = broken;
  const exchange = createExchange({
    issuer: 'https://sts.test',
    clock: { now: () => testNowMillis },
    policy: () => policy,
    verify,
    verifySubject: async (...presented) => ({ identity: await verify(...presented) }),
    revocations: { refusesNew: () => undefined, epoch: () => 1 },
    verifyDpop: () => Promise.reject(new Error('no proof to verify')),
    replayGuard: { claim: async () => true },
    keyRing: { signer: () => signer, publicKeys: () => [] },
    mintOrReuse: signDraft,
    svidKeyRing: { signer: () => signer, publicKeys: () => [] },
    audit: {
      append: async (event) => {
        events.push(event);
      },
    },
    refusalCap: async () => true,
    ...broken,
  });
  return { exchange, events, signedCount: () => signed };
}

const outcomeOf = (exchange: ReturnType<typeof createExchange>) =>
  exchange(attempt).then(
    () => 'a token',
    (error) =>
      error instanceof OAuthError ? [error.code, error.reason] : ['not an OAuthError', String(error)],
  );

const fails = async (): Promise<never> => {
  throw new Error('broken');
};

describe('an exchange', () => {
  it('mints an RFC 9068 token that ends with its credential, and records it', async () => {
    const { exchange, events } = house();
    const token = await exchange(attempt);
    const text = token.accessToken.reveal();
    expect(decodeProtectedHeader(text)).toEqual({ typ: 'at+jwt', alg: 'ES256', kid: 'k1' });
    expect(decodeJwt(text)).toEqual({
      iss: 'https://sts.test',
      sub: spiffeId,
      client_id: spiffeId,
      aud: 'alpha',
      iat: testNowSeconds,
      exp: testNowSeconds + 90,
      jti: token.jti,
      scope: 'read',
    });
    expect(events).toEqual([
      expect.objectContaining({ outcome: 'permitted', jti: token.jti, policyRevision: 7, kid: 'k1' }),
    ]);
    expect(JSON.stringify(events)).not.toContain('canary-credential');
    expect(JSON.stringify(events)).not.toContain(text.split('.')[1]);
  });

  it('withholds the signed token when its event cannot be made durable', async () => {
    const unavailable = new OAuthError('server.audit_unavailable');
    const { exchange, signedCount } = house({ audit: { append: () => Promise.reject(unavailable) } });
    expect(await outcomeOf(exchange)).toEqual(['temporarily_unavailable', 'server.audit_unavailable']);
    expect(signedCount()).toBe(1);
  });

  it('waits for the record before it answers', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { exchange } = house({ audit: { append: () => promise } });
    const answer = exchange(attempt);
    const early = await Promise.race([answer, new Promise((later) => setImmediate(later, 'nothing yet'))]);
    expect(early).toBe('nothing yet');
    resolve();
    expect((await answer).kid).toBe('k1');
  });

  it.each([
    [
      'the replay guard',
      { replayGuard: { claim: fails } },
      'temporarily_unavailable',
      'server.replay_guard_unavailable',
    ],
    [
      'the signer',
      {
        keyRing: {
          signer: () => ({ kid: 'k1', algorithm: 'ES256', sign: fails }) as const,
          publicKeys: () => [],
        },
      },
      'temporarily_unavailable',
      'server.signer_unavailable',
    ],
    ['the verifier', { verify: fails }, 'server_error', 'server.unexpected'],
    [
      'the policy',
      {
        policy: () => {
          throw new OAuthError('policy.unavailable');
        },
      },
      'temporarily_unavailable',
      'policy.unavailable',
    ],
  ] as const)('fails closed and is recorded when %s fails', async (_name, broken, code, reason) => {
    const { exchange, events } = house(broken);
    expect(await outcomeOf(exchange)).toEqual([code, reason]);
    expect(events).toEqual([expect.objectContaining({ outcome: 'failed', reason, errorCode: code })]);
  });

  it('refuses a revoked identity, after it is proven and before its credential is used up', async () => {
    const claims: string[] = [];
    const { exchange, events, signedCount } = house({
      revocations: {
        refusesNew: ({ spiffeId: id }) => (id === spiffeId ? 'identity' : undefined),
        epoch: () => 1,
      },
      replayGuard: { claim: async (key) => claims.push(key) > 0 },
    });
    expect(await outcomeOf(exchange)).toEqual(['unauthorized_client', 'policy.identity_revoked']);
    expect(events).toEqual([
      expect.objectContaining({ outcome: 'refused', identity: spiffeId, detail: 'revoked by identity' }),
    ]);
    expect([claims, signedCount()]).toEqual([[], 0]);
  });

  it('refuses a credential whose first use is over', async () => {
    const { exchange, events } = house({ replayGuard: { claim: async () => false } });
    expect(await outcomeOf(exchange)).toEqual(['invalid_token', 'credential.replayed']);
    expect(events).toEqual([expect.objectContaining({ outcome: 'refused', identity: spiffeId })]);
  });

  it('counts the same one-time token sent twice in one request as one use', async () => {
    const claims: string[] = [];
    const claim = async (key: string) => claims.push(key) > 0;
    const { exchange } = house({ replayGuard: { claim } });
    const request = attempt.read();
    const both = {
      ...request,
      clientAssertion: { ...request.credential, lane: 'client_assertion' as const },
    };
    await exchange({ ...attempt, read: () => both });
    expect(claims).toEqual(['once']);
  });

  it('records a stranger below the cap, and beyond it neither records nor explains', async () => {
    const verify = async () => {
      throw new OAuthError('credential.signature_invalid');
    };
    const below = house({ verify });
    expect(await outcomeOf(below.exchange)).toEqual(['invalid_token', 'credential.signature_invalid']);
    expect(below.events).toHaveLength(1);
    const beyond = house({ verify, refusalCap: async () => false });
    expect(await outcomeOf(beyond.exchange)).toEqual(['temporarily_unavailable', 'server.rate_limited']);
    expect(beyond.events).toHaveLength(0);
  });
});

it('keeps a token under the revocations that its caller was held against, not those that came meanwhile', async () => {
  let epoch = 1;
  const epochs: number[] = [];
  const { exchange } = house({
    revocations: { refusesNew: () => undefined, epoch: () => epoch },
    replayGuard: {
      claim: async () => {
        epoch = 2; // whose token this is may be revoked now, and it was issued before
        return true;
      },
    },
    mintOrReuse: (signer, draft, terms) => {
      epochs.push(terms.revocationEpoch);
      return signDraft(signer, draft);
    },
  });
  expect(await outcomeOf(exchange)).toBe('a token');
  expect(epochs).toEqual([1]);
});
