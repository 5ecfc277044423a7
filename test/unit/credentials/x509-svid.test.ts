import { beforeAll, describe, expect, it } from 'vitest';
import { openKeySets } from '../../../src/credentials/jwks.ts';
import { verifyX509Svid } from '../../../src/credentials/x509-svid.ts';
import {
  authority,
  type CertificateWishes,
  extendedUsage,
  type Issued,
  issue,
  KeyUsageFlags,
  leafExtensions,
  makeRoot,
  rootJwk,
  rsaKeys,
  signerExtensions,
  signerKeyId,
  unknownExtension,
  uris,
  usage,
  withKeyId,
} from '../../support/svid-authority.ts';
import { bundleOf, makeKey, testNowMillis as now, testNowSeconds } from '../../support/tokens.ts';
import { makeDomain, ownTrustDomain, trusting } from '../../support/tokens-policy.ts';

const spiffeId = 'spiffe://prod.example/orders';
const spiffeUsage = usage(KeyUsageFlags.digitalSignature);
let root: Issued;
let otherRoot: Issued;
beforeAll(async () => {
  root = await makeRoot(now);
  otherRoot = await makeRoot(now);
});

const domainOf = (name: string, ...roots: readonly Issued[]) =>
  makeDomain({ name, bundle: { static: { keys: roots.map(rootJwk) } } });

/** Verified with prod.example's roots, beside another trust domain that has roots of its own. */
function verify(chain: readonly Uint8Array[], roots: readonly Issued[] = [root], at = now) {
  const keySets = openKeySets({
    fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
    clock: { now: () => now },
  });
  const policy = trusting(domainOf('prod.example', ...roots), domainOf('lab.example', otherRoot));
  return verifyX509Svid(chain, policy, at, { keySets, trustDomain: ownTrustDomain });
}

const leaf = (wishes: CertificateWishes = {}, issuer = root) =>
  issue(now, issuer, { extensions: leafExtensions(spiffeId), ...wishes });
const signer = (wishes: CertificateWishes = {}, issuer = root) =>
  issue(now, issuer, { name: 'CN=Signer', extensions: signerExtensions, ...wishes });
const without = (...extensions: NonNullable<CertificateWishes['extensions']>) => ({
  extensions: [uris(spiffeId), ...extensions],
});

describe('an X.509-SVID', () => {
  it('becomes the identity that its one URI names, until the certificate ends', async () => {
    expect(await verify([(await leaf()).der])).toEqual({
      spiffeId,
      credentialKind: 'x509-svid',
      trustDomain: 'prod.example',
      claims: { sub: spiffeId },
      auditClaims: {},
      audiences: [],
      clientIds: [spiffeId],
      expiresAt: testNowSeconds + 3600,
    });
  });

  it.each<[string, CertificateWishes]>([
    ['P-384', { algorithm: 'P384' }],
    ['RSA of 2048 bits', { algorithm: 'RSA' }],
    ['a DNS-free leaf without basicConstraints or extended usage', without(spiffeUsage)],
    ['an unknown extension that is not critical', without(spiffeUsage, unknownExtension('1.2.3.4', false))],
    ['a clock 30 s ahead of ours', { notBefore: now + 30_000 }],
    ['a last second', { notAfter: now + 1000 }],
  ])('is accepted with %s', async (_what, wishes) => {
    expect(await verify([(await leaf(wishes)).der])).toMatchObject({ spiffeId });
  });

  it.each(['P384', 'RSA'] as const)('is accepted under a root of %s', async (algorithm) => {
    const own = await makeRoot(now, { algorithm });
    expect(await verify([(await leaf({}, own)).der], [own])).toMatchObject({ spiffeId });
  });

  it.each<[string, CertificateWishes, string]>([
    ['two URIs', { extensions: [uris(spiffeId, spiffeId), spiffeUsage] }, 'credential.certificate_uri_count'],
    ['no URI', { extensions: [spiffeUsage] }, 'credential.certificate_uri_count'],
    [
      'an ID without a path',
      { extensions: [uris('spiffe://prod.example'), spiffeUsage] },
      'credential.spiffe_id_invalid',
    ],
    [
      'an https URI',
      { extensions: [uris('https://prod.example/x'), spiffeUsage] },
      'credential.spiffe_id_invalid',
    ],
    [
      'capital letters',
      { extensions: [uris('SPIFFE://prod.example/x'), spiffeUsage] },
      'credential.spiffe_id_invalid',
    ],
    [
      'a strange trust domain',
      { extensions: leafExtensions('spiffe://x.test/a') },
      'credential.unknown_trust_domain',
    ],
    [
      'our own trust domain',
      { extensions: leafExtensions(`spiffe://${ownTrustDomain}/a`) },
      'credential.unknown_trust_domain',
    ],
    ['a time that is over', { notAfter: now }, 'credential.certificate_expired'],
    ['a time to come', { notBefore: now + 31_000 }, 'credential.certificate_not_yet_valid'],
    ['cA true', without(authority(true), spiffeUsage), 'credential.certificate_not_leaf'],
    [
      'keyCertSign',
      without(usage(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign)),
      'credential.certificate_not_leaf',
    ],
    [
      'cRLSign',
      without(usage(KeyUsageFlags.digitalSignature | KeyUsageFlags.cRLSign)),
      'credential.certificate_not_leaf',
    ],
    ['no key usage', without(), 'credential.certificate_key_usage'],
    ['no digitalSignature', without(usage(KeyUsageFlags.keyAgreement)), 'credential.certificate_key_usage'],
    [
      'key usage not critical',
      without(usage(KeyUsageFlags.digitalSignature, false)),
      'credential.certificate_key_usage',
    ],
    [
      'serverAuth alone',
      without(spiffeUsage, extendedUsage('1.3.6.1.5.5.7.3.1')),
      'credential.certificate_extended_key_usage',
    ],
    [
      'an unknown critical extension',
      without(spiffeUsage, unknownExtension('1.2.3.4', true)),
      'credential.certificate_extension_refused',
    ],
    [
      'name constraints',
      without(spiffeUsage, unknownExtension('2.5.29.30', false)),
      'credential.certificate_extension_refused',
    ],
    ['P-521', { algorithm: 'P521' }, 'credential.certificate_algorithm_refused'],
    ['RSA of 1024 bits', { algorithm: 'RSA1024' }, 'credential.certificate_algorithm_refused'],
    ['an extension twice', without(spiffeUsage, spiffeUsage), 'credential.certificate_malformed'],
  ])('is refused with %s', async (_what, wishes, reason) => {
    await expect(verify([(await leaf(wishes)).der])).rejects.toMatchObject({
      reason,
    });
  });

  it('is refused when signed with SHA-1', async () => {
    const own = await makeRoot(now, { algorithm: 'SHA1' });
    await expect(verify([(await leaf({}, own)).der], [own])).rejects.toMatchObject({
      reason: 'credential.certificate_algorithm_refused',
    });
  });

  it('is refused with an RSA exponent that makes each verification dear', async () => {
    expect(await verify([(await leaf({ keys: await rsaKeys(65_537n) })).der])).toMatchObject({ spiffeId });
    const dear = await leaf({ keys: await rsaKeys(2n ** 61n - 1n) });
    await expect(verify([dear.der])).rejects.toMatchObject({
      reason: 'credential.certificate_algorithm_refused',
    });
  });

  it('is refused with bytes after it, or when it is no certificate', async () => {
    const { der } = await leaf();
    for (const bytes of [Uint8Array.of(...der, 0), der.subarray(1), new Uint8Array()]) {
      await expect(verify([bytes])).rejects.toMatchObject({ reason: 'credential.certificate_malformed' });
    }
    await expect(verify([])).rejects.toMatchObject({ reason: 'credential.certificate_malformed' });
  });
});

describe('a chain', () => {
  it('reaches its root through intermediates, and may carry what stands above it', async () => {
    const upper = await signer();
    const lower = await signer({ name: 'CN=Lower' }, upper);
    const end = await leaf({}, lower);
    expect(await verify([end.der, lower.der, upper.der, root.der])).toMatchObject({ spiffeId });
    expect(await verify([end.der, lower.der], [upper])).toMatchObject({ spiffeId });
  });

  it('has at most five certificates', async () => {
    const { der } = await leaf();
    expect(await verify(Array.from({ length: 5 }, () => der))).toMatchObject({ spiffeId });
    await expect(verify(Array.from({ length: 6 }, () => der))).rejects.toMatchObject({
      reason: 'credential.certificate_chain_too_long',
    });
  });

  it.each<[string, CertificateWishes, string]>([
    [
      'no authority',
      { extensions: [authority(false), usage(KeyUsageFlags.keyCertSign)] },
      'credential.certificate_signer_refused',
    ],
    [
      'without basicConstraints',
      { extensions: [usage(KeyUsageFlags.keyCertSign)] },
      'credential.certificate_signer_refused',
    ],
    [
      'without keyCertSign',
      { extensions: [authority(true), spiffeUsage] },
      'credential.certificate_signer_refused',
    ],
    ['without key usage', { extensions: [authority(true)] }, 'credential.certificate_signer_refused'],
    ['credential.expired', { notAfter: now - 1000 }, 'credential.certificate_expired'],
    ['not yet valid', { notBefore: now + 60_000 }, 'credential.certificate_not_yet_valid'],
    [
      'for servers alone',
      { extensions: [...signerExtensions, extendedUsage('1.3.6.1.5.5.7.3.1')] },
      'credential.certificate_extended_key_usage',
    ],
    [
      'with an unknown critical extension',
      { extensions: [...signerExtensions, unknownExtension('1.2.3.4', true)] },
      'credential.certificate_extension_refused',
    ],
    ['of a weak key', { algorithm: 'RSA1024' }, 'credential.certificate_algorithm_refused'],
  ])('is refused through an intermediate %s', async (_what, wishes, reason) => {
    const middle = await signer(wishes);
    await expect(verify([(await leaf({}, middle)).der, middle.der])).rejects.toMatchObject({
      reason,
    });
  });

  it('is refused beyond the path length of an authority, and accepted within it', async () => {
    const narrow = await makeRoot(now, {
      extensions: [authority(true, 0), usage(KeyUsageFlags.keyCertSign)],
    });
    const middle = await signer({}, narrow);
    expect(await verify([(await leaf({}, narrow)).der], [narrow])).toMatchObject({ spiffeId });
    await expect(verify([(await leaf({}, middle)).der, middle.der], [narrow])).rejects.toMatchObject({
      reason: 'credential.certificate_path_length',
    });
  });

  it('is refused where a leaf plays the authority', async () => {
    const thief = await leaf({ name: 'CN=Thief' });
    const forged = await leaf({ extensions: leafExtensions('spiffe://prod.example/admin') }, thief);
    await expect(verify([forged.der, thief.der])).rejects.toMatchObject({
      reason: 'credential.certificate_signer_refused',
    });
  });

  it('is refused under an expired root, unless the root was renewed with its key', async () => {
    const old = await makeRoot(now, { notAfter: now - 1000 });
    const end = await leaf({}, old);
    await expect(verify([end.der], [old])).rejects.toMatchObject({
      reason: 'credential.certificate_expired',
    });
    const renewed = await makeRoot(now, { keys: old.keys });
    expect(await verify([end.der], [old, renewed])).toMatchObject({ spiffeId });
  });

  it('is refused when a link was signed with another key under the same name', async () => {
    const impostor = await makeRoot(now);
    await expect(verify([(await leaf({}, impostor)).der])).rejects.toMatchObject({
      reason: 'credential.certificate_signature_invalid',
    });
    const real = await signer();
    const fake = await signer({}, await makeRoot(now));
    await expect(verify([(await leaf({}, fake)).der, real.der])).rejects.toMatchObject({
      reason: 'credential.certificate_signature_invalid',
    });
  });

  it('is refused when its own root comes with it, or nothing leads to a root', async () => {
    const stranger = await makeRoot(now, { name: 'CN=Stranger' });
    const end = await leaf({}, stranger);
    for (const chain of [[end.der], [end.der, stranger.der], [end.der, root.der]]) {
      await expect(verify(chain)).rejects.toMatchObject({ reason: 'credential.certificate_untrusted' });
    }
  });

  it('is refused where another trust domain’s root vouches for it', async () => {
    const end = await leaf({}, otherRoot);
    await expect(verify([end.der])).rejects.toMatchObject({
      reason: 'credential.certificate_signature_invalid',
    });
    const own = await leaf({ extensions: leafExtensions('spiffe://lab.example/a') }, otherRoot);
    expect(await verify([own.der])).toMatchObject({ trustDomain: 'lab.example' });
  });

  it('is refused where the trust domain has no roots', async () => {
    await expect(verify([(await leaf()).der], [])).rejects.toMatchObject({
      reason: 'credential.certificate_untrusted',
    });
  });
});

describe('the roots of a trust domain', () => {
  it('may have one name by the dozen', async () => {
    const others = await Promise.all(Array.from({ length: 40 }, () => makeRoot(now, withKeyId())));
    const signedBy = await makeRoot(now, withKeyId('0badcafe'));
    const end = await leaf({ extensions: [...leafExtensions(spiffeId), signerKeyId('0badcafe')] }, signedBy);
    expect(await verify([end.der], [...others, signedBy])).toMatchObject({ spiffeId });
  });

  it('come with its JWT keys from one fetch, and a new one is fetched when it is first seen', async () => {
    const jwtKey = await makeKey('svid');
    const successor = await makeRoot(now); // with the name of the one that it follows
    const published = [root];
    let fetches = 0;
    const keySets = openKeySets({
      fetchDocument: async () => {
        fetches++;
        const keys = [...bundleOf(jwtKey).keys, ...published.map(rootJwk), { kty: 'EC', use: 'x509-svid' }];
        return { status: 200, body: JSON.stringify({ keys }) };
      },
      clock: { now: () => now },
    });
    const domain = makeDomain({ name: 'prod.example' });
    const context = { keySets, trustDomain: ownTrustDomain };
    const present = async (issuer: Issued) =>
      verifyX509Svid([(await leaf({}, issuer)).der], trusting(domain), now, context);

    expect(await present(root)).toMatchObject({ spiffeId });
    expect((await keySets.bundleFor(domain).keys()).keys.map(({ kid }) => kid)).toEqual(['svid']);
    expect([fetches, keySets.status()[0]?.keyCount]).toEqual([1, 2]);
    published.push(successor);
    expect(await present(successor)).toMatchObject({ spiffeId });
    expect(fetches).toBe(2);
    const unknown = await makeRoot(now, { name: 'CN=Unknown' });
    for (const stranger of [unknown, unknown, await makeRoot(now)]) {
      await expect(present(stranger)).rejects.toMatchObject({
        reason: expect.stringMatching(/^credential.certificate_(untrusted|signature_invalid)$/),
      });
    }
    expect(fetches).toBe(2); // once a minute
    keySets.close();
  });
});
