/** What strangers may try with the address, the text and the timing of their requests. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventSchema, printEvent } from '../../../src/cli/print-event.ts';
import { readKeySet } from '../../../src/credentials/jwk.ts';
import { readCompactJws } from '../../../src/credentials/jwt.ts';
import { verifySignature } from '../../../src/credentials/signature.ts';
import { reportReadiness } from '../../../src/http/health-routes.ts';
import { tellStory } from '../../http/token/story.ts';
import { newAddress, openHouse, postForm, type TestHouse, testIssuer } from '../../support/house.ts';
import { bundleOf, jwksOf, makeKey, signToken, times } from '../../support/tokens.ts';

let story: Awaited<ReturnType<typeof tellStory>>;
let house: TestHouse;
beforeAll(async () => {
  story = await tellStory();
  house = await openHouse(story.documents, { MINTMARK_TRUSTED_PROXIES: '10.0.0.0/8' });
});
afterAll(() => house.close());

const ask = (authorization: string, body: object, options: { from?: string; forwarded?: string } = {}) =>
  house.app.inject({
    method: 'POST',
    url: '/api/v1/token',
    remoteAddress: options.from ?? newAddress(),
    headers: { authorization, ...(options.forwarded ? { 'x-forwarded-for': options.forwarded } : {}) },
    payload: body,
  });

describe('X-Forwarded-For', () => {
  const addressOf = async (from: string, forwarded: string) => {
    const response = await ask('x', {}, { from, forwarded });
    return (await house.eventOf(response.json().request_id)).remote_address;
  };

  it.each([
    ['what the trusted hop saw', '10.1.1.1', '198.51.100.7', '198.51.100.7'],
    ['never what the caller wrote before it', '10.1.1.1', '192.0.2.1, 198.51.100.7', '198.51.100.7'],
    [
      'the first hop that is not trusted, past those that are',
      '10.1.1.1',
      '198.51.100.7, 10.2.2.2',
      '198.51.100.7',
    ],
    ['the address without its port', '10.1.1.1', '198.51.100.7:4711', '198.51.100.7'],
    ['the hop itself where the header holds no address', '10.1.1.1', '\u00e9"><b>', '10.1.1.1'],
    ['the peer that is no trusted hop', '203.0.113.5', '198.51.100.7', '203.0.113.5'],
  ])('gives %s', async (_name, from, forwarded, expected) => {
    expect(await addressOf(from, forwarded)).toBe(expected);
  });

  it('does not let a caller out of its cap by writing another address each time', async () => {
    let last = 0;
    for (let count = 0; count < 121; count++) {
      const forwarded = `192.0.2.${count}, 198.51.100.9`;
      last = (await ask('x', {}, { from: '10.1.1.1', forwarded })).statusCode;
    }
    expect(last).toBe(429);
    const past = house
      .log()
      .split('\n')
      .filter((line) => line.includes('"server.rate_limited"'));
    expect(past.map((line) => JSON.parse(line).level)).toEqual([20]); // debug, which a server in service does not write
    expect((await ask('x', {}, { from: '10.1.1.1', forwarded: '198.51.100.10' })).statusCode).toBe(401);
  });
});

it('asks a dependency once, however many ask whether we are ready', async () => {
  let asked = 0;
  const check = {
    name: 'database',
    isEssential: true,
    run: async () => {
      asked += 1;
      await new Promise(setImmediate);
      if (asked === 2) throw new Error('postgres://mintmark:secret@db.internal is gone');
    },
  };
  const many = () => Promise.all(Array.from({ length: 50 }, () => reportReadiness([check], false)));
  expect(new Set((await many()).map(({ checks }) => checks.database))).toEqual(new Set(['ok']));
  expect(asked).toBe(1);
  expect(new Set((await many()).map(({ checks }) => checks.database))).toEqual(new Set(['unavailable']));
  expect((await many()).every(({ status }) => status === 'ready')).toBe(true); // the refusal was not kept
  expect(asked).toBe(3);
});

it('gives one token for a one-time credential, however many ask for it at once and by whichever lane', async () => {
  const token = await signToken(story.clusterKey, {
    iss: 'https://once.test',
    sub: 'job-1',
    aud: testIssuer,
    jti: 'raced',
    ...times(300),
  });
  const assertion = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: token };
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, index) =>
      index % 2 === 0
        ? ask(`Bearer ${token}`, { audience: 'alpha' })
        : postForm(house.app, { ...assertion, audience: 'alpha' }),
    ),
  );
  const refused = answers.filter(({ statusCode }) => statusCode !== 200);
  expect(refused).toHaveLength(23);
  for (const answer of refused) {
    expect(['invalid_token', 'invalid_grant']).toContain(answer.json().error);
    expect(await house.eventOf(answer.json().request_id)).toMatchObject({ reason: 'credential.replayed' });
  }
});

describe('text that is meant for somebody else', () => {
  const poison = [
    '\ud800',
    'a\0b',
    '\u001b]0;owned\u0007\u001b[2J',
    '\u202egnp.exe',
    '{"a":\u2028}',
    `${'x'.repeat(511)}😀`,
  ];

  it('fails no other event of its batch, and is kept as it came', async () => {
    const svid = await story.svid();
    const answers = await Promise.all(
      ['alpha', ...poison, 'alpha'].map((audience) => ask(svid, { audience })),
    );
    const statuses = answers.map(({ statusCode }) => statusCode);
    expect(statuses).toEqual([200, ...poison.map(() => 400), 200]);
    const events = await Promise.all(
      answers.map(({ headers }) => house.eventOf(String(headers['x-request-id']))),
    );
    for (const [index, event] of events.slice(1, -1).entries()) {
      expect(event.reason).toBe('policy.unknown_resource');
      expect(String(event.audience).slice(0, 8)).toBe(poison[index]?.slice(0, 8));
    }
  });

  it('neither steers the terminal of whoever asks why, nor forges a line of it or of the log', async () => {
    const svid = await story.svid();
    for (const audience of poison) {
      const response = await ask(svid, { audience: `${audience}\ngrants     everything` });
      const event = eventSchema.parse(await house.eventOf(response.json().request_id));
      const shown = printEvent(event, (_colour, text) => text);
      expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
      expect(shown).not.toMatch(/^grants/m);
      expect(shown).toContain('policy.unknown_resource');
    }
    const lines = house.log().trimEnd().split('\n');
    expect(lines.every((line) => JSON.parse(line).level > 0)).toBe(true);
    for (const part of svid.split('.')) expect(house.log()).not.toContain(part);
  });
});

describe('many issuers behind one iss', () => {
  it.each([
    ['genuine', 100, (token: string) => token],
    ['forged', 0, (token: string) => token.replace(/.{8}$/, 'AAAAAAAA')],
  ])('cost one signature for a %s token', async (_name, accepted, change) => {
    const key = await makeKey('shared');
    const jws = readCompactJws(change(await signToken(key, { sub: 'a', ...times() })));
    let imports = 0;
    const tried = new Map<string, Promise<boolean>>();
    const source = () => {
      const published = readKeySet(jwksOf(key), 'sig');
      const keys = published.keys.map((one) => ({
        ...one,
        cryptoKey: (algorithm: string) => {
          imports += 1;
          return one.cryptoKey(algorithm);
        },
      }));
      return { keys: () => ({ ...published, keys }), keysAfterMiss: async () => published };
    };
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, () => verifySignature(jws, source(), tried)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(accepted);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason.reason).toBe('credential.signature_invalid');
    }
    expect(imports).toBe(1);
    const other = {
      keys: () => readKeySet(bundleOf(key), 'jwt-svid'),
      keysAfterMiss: async () => readKeySet(bundleOf(key), 'jwt-svid'),
    };
    const [outcome] = await Promise.allSettled([verifySignature(jws, other, tried)]); // another JWK is another key
    expect(outcome?.status).toBe(accepted === 0 ? 'rejected' : 'fulfilled');
    expect(tried.size).toBe(2);
  });
});
