import { beforeAll, describe, expect, it } from 'vitest';
import { readPolicyText } from '../../../src/adapters/policy-source/read-text.ts';
import { compilePolicy } from '../../../src/core/policy/compile.ts';
import { PolicyRefused } from '../../../src/core/policy/refused.ts';
import { makeAuthority } from '../../support/issuer-double-tls.ts';
import { compileText, context, problemsOf } from './example-policy.ts';

let authority: string;
let leaf: { readonly cert: string; readonly key: string };
beforeAll(async () => {
  const made = await makeAuthority();
  authority = made.certificate;
  leaf = await made.issue('api.example');
});

/** JSON is YAML. */
const document = (tokenReview: object = {}, { name = 'prod', platform = 'kubernetes' } = {}) =>
  JSON.stringify({
    apiVersion: 'mintmark/v1',
    kind: 'Issuer',
    metadata: { name },
    spec: {
      platform,
      issuer: 'https://kubernetes.default.svc',
      keys: {
        tokenReview: {
          url: 'https://api.example:6443',
          caCertificate: authority,
          tokenFile: '/var/run/secrets/prod/token',
          ...tokenReview,
        },
      },
    },
  });
const fields = (text: string) => problemsOf(text).map(({ field }) => field);

describe('keys.tokenReview', () => {
  it('is accepted from the operator’s file', () => {
    const [issuer] = compileText(document()).issuers.get('https://kubernetes.default.svc') ?? [];
    expect(issuer?.keys.tokenReview?.url).toBe('https://api.example:6443');
  });

  it('is refused from REST, which must not name files on the server', () => {
    const sources = readPolicyText(document(), { file: 'policy.yaml', managedBy: 'rest' });
    const refusal = (() => {
      try {
        return compilePolicy(sources, context, 1);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(PolicyRefused);
    expect(refusal).toHaveProperty('problems', [
      expect.objectContaining({
        field: 'spec.keys.tokenReview',
        message: expect.stringContaining('only MINTMARK_POLICY'),
      }),
    ]);
  });

  it('is refused on a platform that reviews no tokens', () => {
    expect(fields(document({}, { platform: 'oidc' }))).toEqual(['spec.keys.tokenReview']);
  });

  it.each([
    ['a URL without TLS', { url: 'http://api.example' }, 'url'],
    ['a URL with a user name', { url: 'https://me@api.example' }, 'url'],
    ['a certificate that is none', { caCertificate: 'MIIB' }, 'caCertificate'],
    ['a relative path', { tokenFile: 'token' }, 'tokenFile'],
    ['a path with ..', { tokenFile: '/var/run/../token' }, 'tokenFile'],
  ])('is refused with %s', (_name, change, field) => {
    expect(fields(document(change))).toEqual([`spec.keys.tokenReview.${field}`]);
  });

  it('is refused with a certificate that is no authority’s, and with a private key', () => {
    for (const caCertificate of [leaf.cert, `${authority}\n${leaf.key}`]) {
      expect(fields(document({ caCertificate }))).toEqual(['spec.keys.tokenReview.caCertificate']);
    }
  });

  it('is refused twice for one cluster, and accepted for two of one issuer name', () => {
    const same = document({}, { name: 'twin' });
    expect(fields(`${document()}\n---\n${same}`)).toEqual(['spec.issuer']);
    const other = document({ url: 'https://api.other.example' }, { name: 'other' });
    expect(compileText(`${document()}\n---\n${other}`).documents).toHaveLength(2);
  });
});
