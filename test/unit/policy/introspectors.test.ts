/** A Resource's `introspectors`, and the resource that stands for Mintmark itself. */
import { describe, expect, it } from 'vitest';
import { compileText, context, exampleWith, problemsOf } from './example-policy.ts';
import { type Refusal, testRefusals } from './refusals.ts';

const part = '  tokenLifetime: 10m';
const by = (introspectors: string) => `${part}\n  introspectors: [${introspectors}]`;
const refusal = (title: string, introspectors: string, field: string, message: string): Refusal => ({
  title,
  part,
  by: by(introspectors),
  at: `introspectors: [${introspectors}]`,
  document: 'Resource/inventory',
  field: `spec.introspectors${field}`,
  message,
});
const introspectorsOf = (text: string) =>
  compileText(text).resourcesByName.get('inventory')?.introspectors ?? [];

it('are compiled as subjects are', () => {
  const all = by('{ spiffeId: spiffe://prod.example/gate }, { prefix: spiffe://prod.example/gates }');
  expect(introspectorsOf(exampleWith(part, all))).toEqual([
    { spiffeId: 'spiffe://prod.example/gate' },
    { prefix: 'spiffe://prod.example/gates' },
  ]);
  const wide = `${by('{ trustDomain: prod.example }')}\n  acknowledgeWide: true`;
  expect(introspectorsOf(exampleWith(part, wide))).toEqual([{ trustDomain: 'prod.example' }]);
});

describe('introspectors', () => {
  testRefusals([
    refusal(
      'an issuer',
      '{ issuer: prod-cluster }',
      '[0].issuer',
      'does not name a workload: use spiffeId, prefix, pattern or trustDomain',
    ),
    refusal(
      'a whole trust domain that is not acknowledged',
      '{ trustDomain: prod.example }',
      '[0].trustDomain',
      'is every workload of that trust domain: write spec.acknowledgeWide: true if that is meant',
    ),
  ]);
});

it('no document has the name of the built-in resource', () => {
  const text = exampleWith('metadata: { name: inventory }', 'metadata: { name: mintmark }');
  expect(problemsOf(text)).toContainEqual(
    expect.objectContaining({
      document: 'Resource/mintmark',
      field: 'metadata.name',
      message: 'mintmark is built in: choose another name',
    }),
  );
});

it('the audience of Mintmark itself is the built-in resource, unless a document has it', () => {
  const { issuer } = context;
  const builtIn = compileText(exampleWith(part, part));
  expect(builtIn.resourcesByAudience.get(issuer)?.name).toBe('mintmark');
  const own = `audience: ${issuer}\n  introspectors: []`;
  const written = compileText(exampleWith('audience: https://inventory.internal.example', own));
  expect(written.resourcesByAudience.get(issuer)?.name).toBe('inventory');
  expect(written.resourcesByName.get('mintmark')).toBeUndefined();
});
