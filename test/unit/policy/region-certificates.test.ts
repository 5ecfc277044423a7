import { describe, expect, it } from 'vitest';
import { makeRegionSigner } from '../../support/instance-documents.ts';
import { compileText, problemsOf } from './example-policy.ts';

const { certificate } = makeRegionSigner();
const spec = {
  platform: 'aws-instance-identity',
  issuer: 'https://ec2.amazonaws.com',
  acknowledgeReplayable: true,
  require: { accountId: '123456789012' },
  keys: { regionCertificates: { 'us-west-2': certificate } },
};
const text = (changes: object = {}, name = 'ec2') =>
  JSON.stringify({
    apiVersion: 'mintmark/v1',
    kind: 'Issuer',
    metadata: { name },
    spec: { ...spec, ...changes },
  });
const keys = (region: string, pem: string) => ({ keys: { regionCertificates: { [region]: pem } } });

describe('an Issuer document of EC2 instances', () => {
  it('is accepted with its regions’ certificates, and less age', () => {
    const [issuer] = compileText(text({ maxTokenAge: '1m' })).issuers.get(spec.issuer) ?? [];
    expect(issuer?.maxTokenAgeSeconds).toBe(60);
  });

  it.each([
    ['acknowledgeReplayable', 'no audience', { acknowledgeReplayable: undefined }],
    ['acknowledgeReplayable', 'prefer aws-web-identity', { acknowledgeReplayable: false }],
    ['require', 'pin accountId', { require: undefined }],
    ['maxTokenAge', 'at most 300s', { maxTokenAge: '6m' }],
    ['audiences', 'leave it out', { audiences: ['https://sts.example'] }],
    ['keys.regionCertificates', 'at least one region', { keys: undefined }],
    ['keys.regionCertificates', 'at least one region', { keys: { regionCertificates: {} } }],
    ['keys.regionCertificates.west', 'not the name of a region', keys('west', certificate)],
    ['keys.regionCertificates.us-west-2', 'one certificate', keys('us-west-2', 'MIIB')],
    ['keys.regionCertificates.us-west-2', 'one certificate', keys('us-west-2', certificate + certificate)],
    [
      'keys.regionCertificates.us-west-2',
      '2048',
      keys('us-west-2', makeRegionSigner('rsa:1024').certificate),
    ],
    ['keys.regionCertificates.us-west-2', 'RSA', keys('us-west-2', makeRegionSigner('ec').certificate)],
  ])('is refused for %s: %s', (field, message, changes) => {
    expect(problemsOf(text(changes))).toEqual([
      expect.objectContaining({ field: `spec.${field}`, message: expect.stringContaining(message) }),
    ]);
  });

  it('has fields that no other platform has', () => {
    const issuer = { platform: 'oidc', issuer: 'https://idp.example', require: undefined };
    expect(problemsOf(text(issuer)).map(({ field }) => field)).toEqual([
      'spec.acknowledgeReplayable',
      'spec.keys.regionCertificates',
    ]);
  });

  it('is refused beside another of the same account', () => {
    expect(problemsOf(`${text()}\n---\n${text({}, 'other')}`)).toHaveLength(1);
  });
});
