import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findOverlaps } from '../../../src/core/policy/disjoint-issuers.ts';
import type { TrustedIssuer } from '../../../src/core/policy/snapshot.ts';
import { parseSubjectTemplate } from '../../../src/core/policy/subject-template.ts';
import { oidc } from '../../../src/credentials/platforms/oidc/index.ts';

type Fields = Pick<TrustedIssuer, 'issuerUrl' | 'keys' | 'require'>;

const issuer = (fields: Fields, index: number): TrustedIssuer => ({
  name: `i${index}`,
  platform: oidc,
  audiences: ['https://sts.example'],
  subject: parseSubjectTemplate('/a/{sub}', 'a'),
  condition: undefined,
  isObserved: false,
  maxTokenAgeSeconds: undefined,
  once: false,
  auditClaims: [],
  ...fields,
});

const key = (kid: string) => ({ kty: 'EC', kid, x: kid });
const keys = fc.constantFrom<TrustedIssuer['keys']>(
  { discovery: true },
  { jwksUri: 'https://a.example/jwks' },
  { jwksUri: 'https://b.example/jwks' },
  { jwks: { keys: [key('a')] } },
  { jwks: { keys: [key('b'), key('c')] } },
  { jwks: { keys: [key('c')] } },
);
const values = fc.uniqueArray(fc.constantFrom<string | number>('1', 1, '2'), { minLength: 1 });
const require = fc
  .dictionary(fc.constantFrom('tenant', 'ref'), values)
  .map((pins) => Object.entries(pins).map(([path, accepted]) => ({ path, values: accepted })));
const issuers = fc
  .array(
    fc.record({ issuerUrl: fc.constantFrom('https://one.example', 'https://two.example'), keys, require }),
    {
      maxLength: 8,
    },
  )
  .map((list) => list.map(issuer));

/** The rule, pair by pair. */
function overlap(a: TrustedIssuer, b: TrustedIssuer): boolean {
  const kids = (of: TrustedIssuer) => of.keys.jwks?.keys.map(({ kid }) => kid) ?? [];
  const sharesKeys =
    a.keys.discovery === true ||
    b.keys.discovery === true ||
    (a.keys.jwksUri !== undefined && a.keys.jwksUri === b.keys.jwksUri) ||
    kids(a).some((kid) => kids(b).includes(kid));
  const isToldApart = a.require.some((pin) =>
    b.require.some(
      (other) => other.path === pin.path && !other.values.some((value) => pin.values.includes(value)),
    ),
  );
  return a.issuerUrl === b.issuerUrl && sharesKeys && !isToldApart;
}

describe('findOverlaps', () => {
  it('finds what comparing every pair finds', () => {
    let found = 0;
    fc.assert(
      fc.property(issuers, (list) => {
        const overlaps = findOverlaps(list);
        for (const [index, later] of list.entries()) {
          const earlier = list.slice(0, index).filter((other) => overlap(other, later));
          const named = overlaps.get(later);
          expect(named !== undefined).toBe(earlier.length > 0);
          if (named === undefined) continue;
          expect(earlier).toContain(named);
          found += 1;
        }
      }),
      { numRuns: 2000 },
    );
    expect(found).toBeGreaterThan(100);
  });

  it('does not look at each pair of issuers that pin different tenants', () => {
    const many = Array.from({ length: 20_000 }, (_, index) =>
      issuer(
        {
          issuerUrl: 'https://ci.example',
          keys: { discovery: true },
          require: [{ path: 'tenant', values: [`t${index}`] }],
        },
        index,
      ),
    );
    const start = performance.now();
    expect(findOverlaps(many).size).toBe(0);
    expect(performance.now() - start).toBeLessThan(3000); // every pair would take minutes
  });
});
