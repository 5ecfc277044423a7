import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readXfcc } from '../../../src/http/xfcc.ts';
import { type Issued, makeRoot } from '../../support/svid-authority.ts';
import { testNowMillis as now } from '../../support/tokens.ts';

let leaf: Issued;
let other: Issued;
let cert: string;
let both: string;
let digest: string;
beforeAll(async () => {
  [leaf, other] = await Promise.all([makeRoot(now), makeRoot(now)]);
  const pem = ({ certificate }: Issued) => encodeURIComponent(`${certificate.toString('pem')}\n`);
  cert = pem(leaf);
  both = cert + pem(other);
  digest = createHash('sha256').update(leaf.der).digest('hex');
});

describe('readXfcc', () => {
  it('reads what Envoy writes, in any case of keys', () => {
    const by = 'By=spiffe://prod.test/frontend';
    const subject = 'Subject="CN=a \\"b\\", O=c;d=e"';
    const uri = 'URI=spiffe://prod.test/orders';
    expect(
      readXfcc(`${by};Hash=${digest};Cert="${cert}";Chain="${both}";${subject};${uri};DNS=a;DNS=b`),
    ).toEqual([leaf.der, other.der]);
    expect(readXfcc(`HASH=${digest.toUpperCase()};cert=${cert}`)).toEqual([leaf.der]);
    expect(readXfcc(`Chain="${both}"`)).toEqual([leaf.der, other.der]);
    expect(readXfcc(`Subject="";Cert="${cert}"`)).toEqual([leaf.der]);
  });

  it.each<[string, () => string]>([
    ['nothing', () => ''],
    ['no certificate', () => `Hash=${digest};URI=spiffe://prod.test/orders`],
    ['two elements', () => `Cert="${cert}",Cert="${cert}"`],
    ['an element in front', () => `URI=spiffe://prod.test/admin,Cert="${cert}"`],
    ['an element behind', () => `Cert="${cert}",By=a`],
    ['a second Cert', () => `Cert="${cert}";cert="${cert}"`],
    ['a second Chain', () => `Chain="${both}";Chain="${cert}"`],
    ['a second Hash', () => `Hash=${digest};Hash=${digest};Cert="${cert}"`],
    ['the hash of another', () => `Hash=${'0'.repeat(64)};Cert="${cert}"`],
    [
      'a Cert that the Chain does not begin with',
      () => `Cert="${encodeURIComponent(other.certificate.toString('pem'))}";Chain="${both}"`,
    ],
    ['two certificates in Cert', () => `Cert="${both}"`],
    ['an unknown key', () => `Cert="${cert}";Role=admin`],
    ['a comma in a bare URI', () => `URI=spiffe://a/b,c;Cert="${cert}"`],
    ['an equals sign in a bare value', () => `URI=a=b;Cert="${cert}"`],
    ['a quote within a bare value', () => `URI=a"b;Cert="${cert}"`],
    ['a quote that is not closed', () => `Cert="${cert}`],
    ['text behind a quote', () => `Cert="${cert}"x`],
    ['a last semicolon', () => `Cert="${cert}";`],
    ['an empty pair', () => `Cert="${cert}";;By=a`],
    ['a space', () => ` Cert="${cert}"`],
    ['a key alone', () => `By;Cert="${cert}"`],
    ['no key', () => `="x";Cert="${cert}"`],
    ['an escape of nothing', () => 'Cert="%zz"'],
    ['text before the certificate', () => `Cert="x${cert}"`],
    ['text behind the certificate', () => `Cert="${cert}x"`],
  ])('refuses %s', (_what, text) => {
    expect(readXfcc(text())).toBeUndefined();
  });

  it('never lets what a name says become another certificate', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (name) => {
        const foreign = encodeURIComponent(other.certificate.toString('pem'));
        const read = readXfcc(`URI=${name};Cert="${cert}";DNS=${name}${foreign}`);
        expect(read === undefined || Buffer.compare(read[0] ?? other.der, leaf.der) === 0).toBe(true);
      }),
    );
  });

  it('costs no more than its length', () => {
    const hostile = encodeURIComponent(`-----BEGIN CERTIFICATE-----${' '.repeat(20_000)}`);
    expect(readXfcc(`Cert="${hostile}"`)).toBeUndefined();
    expect(readXfcc(`Cert="${'\\"'.repeat(20_000)}`)).toBeUndefined();
  }, 2000);
});
