import { beforeAll, describe, expect, it } from 'vitest';
import { isRenewalDue, pinnedKeysAges } from '../../../src/core/policy/pinned-keys.ts';
import { createPinnedKeysAlarm } from '../../../src/core/policy/pinned-keys-alarm.ts';
import { parseSubjectTemplate } from '../../../src/core/policy/subject-template.ts';
import { jwksOf, makeKey, testNowMillis } from '../../support/tokens.ts';
import { compileText, problemsOf } from './example-policy.ts';

let jwks: object;
beforeAll(async () => {
  jwks = jwksOf(await makeKey('k1'));
});

/** JSON is YAML. */
const document = (keys: object, spec: object = {}) =>
  JSON.stringify({
    apiVersion: 'mintmark/v1',
    kind: 'Issuer',
    metadata: { name: 'prod' },
    spec: { platform: 'kubernetes', issuer: 'https://cluster.example', keys, ...spec },
  });
const pushedBy = '/prod/ns/mintmark/sa/jwks-push';

describe('keys.pushedBy', () => {
  it('is accepted where the subject can give it', () => {
    const [issuer] = compileText(document({ jwks, pushedBy })).issuers.get('https://cluster.example') ?? [];
    expect(issuer?.keys.pushedBy).toBe(pushedBy);
  });

  it.each([
    '/prod/ns/mintmark/sa',
    '/prod/ns/mintmark/sa/jwks-push/x',
    '/lab/ns/mintmark/sa/jwks-push',
    'prod/ns/mintmark/sa/jwks-push',
    'spiffe://mintmark.example/prod/ns/mintmark/sa/jwks-push',
    '/prod/ns/../sa/jwks-push',
    '/prod/ns//sa/jwks-push',
    '/prod/ns/*/sa/jwks-push',
    '',
  ])('%j is refused: no token gives it', (path) => {
    expect(problemsOf(document({ jwks, pushedBy: path }))).toEqual([
      expect.objectContaining({
        field: 'spec.keys.pushedBy',
        message: expect.stringContaining("is no path that this document's subject gives: /prod/ns/{"),
      }),
    ]);
  });

  it.each([
    ['audiences that leave us out', { audiences: ['https://else.example'] }, /among audiences/],
    ['replay: once', { replay: 'once' }, /good for one use/],
  ])('is refused beside %s', (_name, spec, message) => {
    expect(problemsOf(document({ jwks, pushedBy }, spec))).toEqual([
      expect.objectContaining({ field: 'spec.keys.pushedBy', message: expect.stringMatching(message) }),
    ]);
  });

  it.each([{ pushedBy }, { asOf: '2026-01-01T00:00:00Z' }, { warnAfter: '30d' }])(
    'belongs beside jwks, as %j does',
    (field) => {
      expect(problemsOf(document({ discovery: true, ...field }))).toEqual([
        expect.objectContaining({
          field: `spec.keys.${Object.keys(field)[0]}`,
          message: 'belongs beside jwks: other keys are fetched',
        }),
      ]);
      expect(compileText(document({ jwks, ...field })).documents).toHaveLength(1);
    },
  );
});

describe('what a subject template can give', () => {
  it.each([
    ['/p/{sub}', '/p/a', true],
    ['/p/{sub}', '/p/a/b', false],
    ['/p/x-{sub}.y', '/p/x-a.y', true],
    ['/p/x-{sub}.y', '/p/x-.y', false],
    ['/p/x-{sub}-x', '/p/x-x', false],
    ['/p/{a|path}', '/p/a/b/c', true],
    ['/p/{a|path}', '/p', false],
    ['/p/{a|path}/env/{e}', '/p/a/b/env/x', true],
    ['/p/{a|path}/env/{e}', '/p/env/x', false],
    ['/p/{a|path}/env/{e}', '/p/a/b/x', false],
  ])('%s, %s: %s', (template, path, canGive) => {
    expect(parseSubjectTemplate(template, 'prod').canGive(path)).toBe(canGive);
  });
});

describe('the age of keys that stand in a document', () => {
  const agesOf = (keys: object) => pinnedKeysAges(compileText(document(keys)), testNowMillis);
  const secondsAgo = (seconds: number) => new Date(testNowMillis - seconds * 1000).toISOString();

  it('is counted from asOf, and overdue past 90 days or what warnAfter says', () => {
    const quarterSeconds = 90 * 86_400;
    expect(agesOf({ jwks, asOf: secondsAgo(quarterSeconds) })).toEqual([
      {
        issuer: 'prod',
        asOf: secondsAgo(quarterSeconds),
        ageSeconds: quarterSeconds,
        warnAfterSeconds: quarterSeconds,
        isOverdue: false,
      },
    ]);
    expect(agesOf({ jwks, asOf: secondsAgo(quarterSeconds + 1) })).toMatchObject([{ isOverdue: true }]);
    expect(agesOf({ jwks, asOf: secondsAgo(3601), warnAfter: '1h' })).toMatchObject([{ isOverdue: true }]);
  });

  it('is unknown without asOf, none of a time to come, and nothing of keys that are fetched', () => {
    expect(agesOf({ jwks })).toMatchObject([{ ageSeconds: undefined, isOverdue: false }]);
    expect(agesOf({ jwks, asOf: secondsAgo(-60) })).toMatchObject([{ ageSeconds: 0 }]);
    expect(agesOf({ discovery: true })).toEqual([]);
  });

  it.each([
    ['90d', 86_400],
    ['8h', 7200],
    ['1h', 3600],
  ])('is renewed by a push long before %s are over', (warnAfter, dueSeconds) => {
    const [early, due] = [dueSeconds - 1, dueSeconds].map((seconds) =>
      agesOf({ jwks, asOf: secondsAgo(seconds), warnAfter }).map(isRenewalDue),
    );
    expect([early, due]).toEqual([[false], [true]]);
  });
});

describe('the alarm', () => {
  const dayMillis = 86_400_000;
  const asOf = (days: number) => new Date(testNowMillis - days * dayMillis).toISOString();
  const policyOf = (days: number) => compileText(document({ jwks, asOf: asOf(days) }));

  it('warns when keys come into force or grow too old, then once a day, and anew after a change', () => {
    const warned: string[] = [];
    let now = testNowMillis;
    const look = createPinnedKeysAlarm({ clock: { now: () => now }, warn: (text) => warned.push(text) });
    const countAfter = (millis: number, policy: ReturnType<typeof policyOf>) => {
      now += millis;
      look(policy);
      return warned.length;
    };
    const ninety = policyOf(90);
    expect(countAfter(0, ninety)).toBe(0);
    expect(countAfter(1000, ninety)).toBe(1);
    expect(countAfter(dayMillis - 1, ninety)).toBe(1);
    expect(countAfter(1, ninety)).toBe(2);
    expect(countAfter(1, policyOf(91))).toBe(3);
    expect(countAfter(1, policyOf(0))).toBe(3);
    expect(countAfter(1, policyOf(91))).toBe(4);
    expect(warned[0]).toContain(`the keys of Issuer prod are those of ${asOf(90)}, 90 days ago`);
  });
});
