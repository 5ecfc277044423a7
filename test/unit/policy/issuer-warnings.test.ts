/** What is taken with a warning, and what is not warned about. */
import { describe, expect, it } from 'vitest';
import { compilePolicy } from '../../../src/core/policy/compile.ts';
import { oidc } from '../../../src/credentials/platforms/oidc/index.ts';
import { compileText, context, exampleText, exampleWith, lineHolding, problemsOf } from './example-policy.ts';

const warningsOf = (part: string, by: string) => compileText(exampleWith(part, by)).warnings;
const own = 'audiences: [https://sts.example]';

/** A platform whose tokens share an audience, and have a name beside an id. */
const shop = {
  ...oidc,
  name: 'shop',
  fixedAudiences: ['shop.example'],
  foreignAudiences: ['bank.example'],
  nameClaims: ['shop_name', 'owner_name'],
  callerClaims: ['note'],
  isOneTime: true,
};
const compileShop = (spec: object) =>
  compilePolicy(
    [
      {
        managedBy: 'file',
        locate: (path) => ({ file: 'shop.yaml', line: path.length }),
        value: {
          apiVersion: 'mintmark/v1',
          kind: 'Issuer',
          metadata: { name: 'shop' },
          spec: { platform: 'shop', issuer: 'https://shop.example', ...spec },
        },
      },
    ],
    { ...context, platforms: [shop] },
    1,
  );
const at = (field: string, line: number, message: unknown) => [
  { document: 'Issuer/shop', field, file: 'shop.yaml', line, message },
];

describe('warnings', () => {
  it('are none for the example', () => {
    expect(compileText(exampleText).warnings).toEqual([]);
  });

  it('name an audience that all verifiers of the platform share', () => {
    expect(compileShop({ audiences: ['https://sts.example', 'shop.example'] }).warnings).toEqual(
      at('spec.audiences[1]', 3, expect.stringContaining('can replay it here')),
    );
    expect(compileShop({ audiences: ['https://sts.example'] }).warnings).toEqual([]);
    expect(compileShop({}).warnings).toEqual([]);
  });

  it('name a subject or conditions of names alone', () => {
    expect(compileShop({ subject: '/s/{owner_name}/{shop_name}' }).warnings).toEqual(
      at('spec.subject', 2, expect.stringContaining('names alone (owner_name, shop_name)')),
    );
    expect(compileShop({ require: { shop_name: 'toys' } }).warnings).toEqual(
      at('spec.require', 2, expect.stringContaining('require an id too')),
    );
  });

  it('are none where an id stands beside the names, or nothing is written', () => {
    expect(compileShop({ subject: '/s/{owner_name}/{shop_id}' }).warnings).toEqual([]);
    expect(compileShop({ require: { shop_name: 'toys', shop_id: '7' } }).warnings).toEqual([]);
    expect(compileShop({ require: {} }).warnings).toEqual([]);
  });

  it('come with the file and line, for Kubernetes names too', () => {
    const by = `${own}\n  subject: /prod-cluster/{kubernetes.io.serviceaccount.name}`;
    const line = lineHolding(exampleWith(own, by), 'subject: /prod');
    expect(warningsOf(own, by)).toMatchObject([{ field: 'spec.subject', file: 'policy.yaml', line }]);
  });
});

describe('what a platform says whatever the document does', () => {
  it('one-time tokens are used once', () => {
    const [issuer] = compileShop({ replay: 'allow' }).issuers.get('https://shop.example') ?? [];
    expect(issuer?.once).toBe(true);
  });

  it('audiences of somebody else cannot be written', () => {
    const text = exampleWith(own, 'audiences: [https://sts.example, sts.amazonaws.com]');
    expect(problemsOf(text)).toEqual([
      {
        document: 'Issuer/prod-cluster',
        field: 'spec.audiences[1]',
        file: 'policy.yaml',
        line: lineHolding(text, 'sts.amazonaws.com'),
        message: expect.stringMatching(/^is meant for someone else/),
      },
    ]);
    expect(() => compileShop({ audiences: ['bank.example'] })).toThrow(/is meant for someone else/);
  });

  it.each([
    [{ require: { note: 'x' } }],
    [{ require: { 'note.of.mine': 'x' } }],
    [{ subject: '/s/{shop_id}/{note}' }],
  ])('claims that the caller writes carry nothing: %j', (spec) => {
    expect(() => compileShop(spec)).toThrow(/rests on note, which the caller itself writes/);
  });

  it('claims that only begin alike are others', () => {
    expect(compileShop({ require: { noted: 'x' } }).documents).toHaveLength(1);
  });
});
