/** Instance identity documents, signed by openssl with certificates of this test's own. */
import { describe, expect, it } from 'vitest';
import {
  instanceClaims,
  makeRegionSigner,
  pendingAt,
  signDocument,
} from '../../../../test/support/instance-documents.ts';
import { testNowMillis, testNowSeconds } from '../../../../test/support/tokens.ts';
import {
  credential,
  makeIssuer,
  ownTrustDomain,
  trusting,
  verifierOptions,
} from '../../../../test/support/tokens-policy.ts';
import { openKeySets } from '../../jwks.ts';
import { createVerifier } from '../../verify.ts';
import { awsInstanceIdentity } from './index.ts';

const west = makeRegionSigner();
const east = makeRegionSigner();
const stranger = makeRegionSigner();
const elliptic = makeRegionSigner('ec');
const own = makeIssuer({
  name: 'ec2',
  platform: awsInstanceIdentity,
  issuerUrl: 'https://ec2.amazonaws.com',
  keys: { regionCertificates: { 'us-west-2': west.certificate, 'us-east-1': east.certificate } },
  require: [{ path: 'accountId', values: [instanceClaims.accountId] }],
});
const verify = createVerifier({
  ...verifierOptions,
  keySets: openKeySets({
    fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
    clock: { now: () => testNowMillis },
  }),
});
const present = (token: string, issuers = [own], nowMillis = testNowMillis) =>
  verify(credential(token, 'subject_token', 'aws-instance-identity'), trusting(...issuers), nowMillis);

const base64 = (message: Buffer) => message.toString('base64');
const documentWith = (claims: object, signer = west) =>
  base64(signDocument({ ...instanceClaims, ...claims }, [signer]));
const genuine = documentWith({});

describe('accepted', () => {
  it('takes an instance for its account, region and id, for an hour at most', async () => {
    expect(await present(genuine)).toMatchObject({
      spiffeId: `spiffe://${ownTrustDomain}/ec2/account/123456789012/region/us-west-2/instance/i-0123456789abcdef0`,
      issuer: 'ec2',
      expiresAt: testNowSeconds + 3600,
    });
  });

  it.each([
    ['line breaks', genuine.replace(/.{64}/g, '$&\n')],
    ['armour', `-----BEGIN PKCS7-----\n${genuine.replace(/.{64}/g, '$&\n')}\n-----END PKCS7-----\n`],
    ['its own region’s certificate, of another region', documentWith({ region: 'us-east-1' }, east)],
    ['a certificate within, which is not read', base64(signDocument(instanceClaims, [west], ['-nodetach']))],
    [
      'BER of indefinite length',
      base64(signDocument(instanceClaims, [west], ['-nocerts', '-stream', '-indef', '-nodetach'])),
    ],
    ['a pendingTime just old enough', documentWith({ pendingTime: pendingAt(testNowMillis - 300_000) })],
    ['a clock a little behind', documentWith({ pendingTime: pendingAt(testNowMillis + 30_000) })],
  ])('takes one with %s', async (_, token) => {
    await expect(present(token)).resolves.toMatchObject({ issuer: 'ec2' });
  });

  it('gives all documents of one instance one key of first use, and another instance another', async () => {
    const first = await present(genuine);
    const started = await present(documentWith({ pendingTime: pendingAt(testNowMillis - 1000) }));
    const other = await present(documentWith({ instanceId: 'i-0123456789abcdef1' }));
    expect(first.onceKey).toBeDefined();
    expect(started.onceKey).toBe(first.onceKey);
    expect(other.onceKey).not.toBe(first.onceKey);
  });
});

const json = JSON.stringify(instanceClaims);
const der = Buffer.from(genuine, 'base64');
const altered = (from: string, to: string) =>
  base64(Buffer.from(der.toString('latin1').replace(from, to), 'latin1'));
const digestOid = Buffer.from('06092a864886f70d010904', 'hex').toString('latin1');
const otherOid = Buffer.from('06092a864886f70d010963', 'hex').toString('latin1');
const { pendingTime: _pending, ...timeless } = instanceClaims;

describe('refused', () => {
  it.each([
    ['the certificate of another region', 'credential.signature_invalid', documentWith({}, east)],
    ['a stranger’s key', 'credential.signature_invalid', documentWith({}, stranger)],
    [
      'a stranger’s key and certificate',
      'credential.signature_invalid',
      base64(signDocument(instanceClaims, [stranger], ['-nodetach'])),
    ],
    ['a region that is not registered', 'credential.key_unknown', documentWith({ region: 'eu-west-1' })],
    [
      'content that was altered',
      'credential.signature_invalid',
      altered('i-0123456789abcdef0', 'i-0123456789abcdef1'),
    ],
    ['no content', 'credential.malformed', base64(signDocument(instanceClaims, [west], ['-nocerts']))],
    ['two signers', 'credential.malformed', base64(signDocument(instanceClaims, [west, east]))],
    [
      'no signed attributes',
      'credential.malformed',
      base64(signDocument(instanceClaims, [west], ['-nodetach', '-nocerts', '-noattr'])),
    ],
    ['no digest attribute', 'credential.malformed', altered(digestOid, otherOid)],
    [
      'SHA-1',
      'credential.algorithm_refused',
      base64(signDocument(instanceClaims, [west], ['-nodetach', '-nocerts', '-md', 'sha1'])),
    ],
    ['no RSA', 'credential.algorithm_refused', base64(signDocument(instanceClaims, [elliptic]))],
    ['bytes after the message', 'credential.malformed', base64(Buffer.concat([der, Buffer.from([0, 0, 0])]))],
    ['a message cut short', 'credential.malformed', base64(der.subarray(0, -3))],
    ['a space within', 'credential.malformed', `${genuine.slice(0, 40)} ${genuine.slice(40)}`],
    ['too many bytes', 'credential.malformed', documentWith({ imageId: 'x'.repeat(9000) })],
    ['a JWT', 'credential.type_mismatch', 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA'],
    [
      'a member that stands there twice',
      'credential.malformed',
      base64(signDocument(json.replace('{', '{"region":"us-east-1",'), [west])),
    ],
    ['no JSON object', 'credential.malformed', base64(signDocument('[]', [west]))],
    ['another account', 'credential.requirement_unmet', documentWith({ accountId: '999999999999' })],
    [
      'a pendingTime too old',
      'credential.too_old',
      documentWith({ pendingTime: pendingAt(testNowMillis - 301_000) }),
    ],
    [
      'a pendingTime to come',
      'credential.issued_in_future',
      documentWith({ pendingTime: pendingAt(testNowMillis + 31_000) }),
    ],
    ['no pendingTime', 'credential.claim_missing', base64(signDocument(timeless, [west]))],
    [
      'a pendingTime that is no time',
      'credential.claim_malformed',
      documentWith({ pendingTime: '2026-99-99T00:00:00Z' }),
    ],
    [
      'an instance that is no path segment',
      'credential.claim_malformed',
      documentWith({ instanceId: 'i-01234567/..' }),
    ],
    [
      'an instance with a line break',
      'credential.claim_malformed',
      documentWith({ instanceId: 'i-01234567\n' }),
    ],
    ['an account that is a number', 'credential.claim_malformed', documentWith({ accountId: 123456789012 })],
    ['a region that objects inherit', 'credential.claim_malformed', documentWith({ region: 'constructor' })],
  ])('%s: %s', async (_, reason, token) => {
    await expect(present(token)).rejects.toMatchObject({ reason });
  });

  it('by a document that accepts less age', async () => {
    await expect(present(genuine, [{ ...own, maxTokenAgeSeconds: 59 }])).rejects.toMatchObject({
      reason: 'credential.too_old',
    });
    await expect(present(genuine, [{ ...own, maxTokenAgeSeconds: 60 }])).resolves.toBeDefined();
  });

  it('where only another account’s document has the certificate', async () => {
    const other = { ...own, name: 'other', require: [{ path: 'accountId', values: ['999999999999'] }] };
    const strange = { ...own, keys: { regionCertificates: { 'us-west-2': stranger.certificate } } };
    await expect(present(genuine, [strange, other])).rejects.toMatchObject({
      reason: 'credential.signature_invalid',
    });
  });

  it('without a document of the platform', async () => {
    await expect(present(genuine, [])).rejects.toMatchObject({ reason: 'credential.unknown_issuer' });
  });
});
