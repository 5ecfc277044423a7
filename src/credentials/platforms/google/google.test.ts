/** The vectors, and google-auth-library asking a metadata server for its token. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GoogleAuth } from 'google-auth-library';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { jwksOf, makeKey, signToken, times } from '../../../../test/support/tokens.ts';
import { makeIssuer, ownIssuer, verifierFor } from '../../../../test/support/tokens-policy.ts';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { context } from '../../../../test/unit/policy/example-policy.ts';
import { compilePolicy } from '../../../core/policy/compile.ts';
import { google } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(google, vectors);

describe('documents for google', () => {
  const compile = (require: object) => {
    const spec = { platform: 'google', issuer: vectors.issuer, require };
    const value = { apiVersion: 'mintmark/v1', kind: 'Issuer', metadata: { name: 'google' }, spec };
    return compilePolicy([{ value, managedBy: 'rest', locate: () => ({}) }], context, 1);
  };

  it('name service accounts, by id or with a warning by address', () => {
    expect(compile({ sub: '113' }).warnings).toEqual([]);
    const email = 'app@acme-prod.iam.gserviceaccount.com';
    expect(compile({ email }).warnings).toMatchObject([{ field: 'spec.require' }]);
    expect(() => compile({ 'google.compute_engine.project_id': 'acme-prod' })).toThrow(
      /pin sub or email to your own/,
    );
  });
});

describe('google-auth-library on a metadata server', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('gets a token for our audience that is accepted, and one for another that is not', async () => {
    const key = await makeKey('google', 'RS256');
    const asked: (string | null)[] = [];
    const metadata = createServer(async (request, response) => {
      const url = new URL(request.url ?? '/', 'http://metadata');
      response.setHeader('metadata-flavor', 'Google');
      if (request.headers['metadata-flavor'] !== 'Google') return response.writeHead(403).end();
      if (!url.pathname.endsWith('/service-accounts/default/identity')) return response.end('acme-prod');
      asked.push(url.searchParams.get('audience'));
      const aud = url.searchParams.get('audience');
      const claims = { ...vectors.claims, ...times(3600), iss: vectors.issuer, aud };
      return response.end(await signToken(key, claims));
    });
    await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve));
    try {
      vi.stubEnv('GCE_METADATA_HOST', `127.0.0.1:${(metadata.address() as AddressInfo).port}`);
      vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', undefined);
      vi.stubEnv('HOME', '/nowhere');
      const issuer = makeIssuer({
        name: 'google',
        platform: google,
        issuerUrl: vectors.issuer,
        keys: { jwks: jwksOf(key) },
        require: [{ path: 'sub', values: [vectors.claims.sub] }],
      });
      const fetchToken = async (audience: string) => {
        const client = await new GoogleAuth().getIdTokenClient(audience);
        return await client.idTokenProvider.fetchIdToken(audience);
      };
      const verify = verifierFor(issuer);
      const identity = await verify(await fetchToken(ownIssuer), 'bearer');
      expect(identity.spiffeId).toBe(`spiffe://mint.example/google/service-account/${vectors.claims.sub}`);
      await expect(verify(await fetchToken('https://run.example'), 'bearer')).rejects.toMatchObject({
        reason: 'credential.audience_mismatch',
      });
      expect(asked).toEqual([ownIssuer, 'https://run.example']);
    } finally {
      metadata.close();
    }
  });
});
