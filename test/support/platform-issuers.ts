/** Platforms as they say in their vectors, alive now: keys, tokens of the moment, and Issuer documents with their own rules. */
import webIdentityVectors from '../../src/credentials/platforms/aws-web-identity/vectors.json' with {
  type: 'json',
};
import azureVectors from '../../src/credentials/platforms/azure/vectors.json' with { type: 'json' };
import githubVectors from '../../src/credentials/platforms/github-actions/vectors.json' with { type: 'json' };
import googleVectors from '../../src/credentials/platforms/google/vectors.json' with { type: 'json' };
import kubernetesVectors from '../../src/credentials/platforms/kubernetes/vectors.json' with { type: 'json' };
import vercelVectors from '../../src/credentials/platforms/vercel/vectors.json' with { type: 'json' };
import { jwksOf, makeKey, signToken, type TestKey, testNowSeconds } from './tokens.ts';
import type { Vectors } from './tokens-vectors.ts';

/** Kubernetes is not among them: its API server double signs. */
export const vectorsOf: Readonly<Record<string, Vectors>> = {
  'aws-web-identity': webIdentityVectors,
  azure: azureVectors,
  'github-actions': githubVectors,
  google: googleVectors,
  vercel: vercelVectors,
};
export const kubernetesIssuer = kubernetesVectors.issuer;

/** By this machine's clock, which is the one that the server process reads. */
export const nowSeconds = () => Math.floor(Date.now() / 1000);

export interface PlatformIssuers {
  /** A token with the vectors' claims, moved to the present and changed as one of the vectors says. */
  tokenFor(platform: string, audience: string, change: object): Promise<string>;
  /** An Issuer document for each, and a grant of `read` on alpha to all of them. */
  policyFor(url: string, kubernetesKey: TestKey): string;
}

export async function makePlatformIssuers(): Promise<PlatformIssuers> {
  const keys = { rsa: await makeKey('platform-rsa', 'RS256'), ec: await makeKey('platform-ec', 'ES384') };
  const keyOf = (platform: string) => (platform === 'aws-web-identity' ? keys.ec : keys.rsa);
  return {
    tokenFor: (platform, audience, change) => {
      const { issuer, claims, header } = vectorsOf[platform] ?? {};
      const moved = Object.entries({ iss: issuer, ...claims, ...change }).map(([name, value]) => [
        name,
        ['iat', 'nbf', 'exp'].includes(name) ? Number(value) - testNowSeconds + nowSeconds() : value,
      ]);
      const genuine = { ...Object.fromEntries(moved), aud: audience, jti: crypto.randomUUID() };
      return signToken(keyOf(platform), genuine, { ...header, typ: header?.typ ?? undefined });
    },
    policyFor: (url, kubernetesKey) => {
      const issuers = Object.entries(vectorsOf).map(([name, { issuer, require, audiences = [url] }]) =>
        issuerDocument(name, keyOf(name), {
          issuer,
          audiences,
          ...(require === undefined ? {} : { require }),
        }),
      );
      const kubernetes = issuerDocument('kubernetes', kubernetesKey, {
        issuer: kubernetesIssuer,
        audiences: [url],
        require: { 'kubernetes.io.namespace': 'payments' },
      });
      const subjects = [...issuers, kubernetes].map(({ metadata }) => ({ issuer: metadata.name }));
      const resource = { audience: 'alpha', scopes: ['read'] };
      const grant = { subjects, acknowledgeWide: true, resource: 'alpha', scopes: ['read'] };
      return [
        ...issuers,
        kubernetes,
        { kind: 'Resource', metadata: { name: 'alpha' }, spec: resource },
        { kind: 'Grant', metadata: { name: 'all-on-alpha' }, spec: grant },
      ]
        .map((document) => JSON.stringify({ apiVersion: 'mintmark/v1', ...document }))
        .join('\n---\n');
    },
  };
}

function issuerDocument(name: string, key: TestKey, spec: object) {
  const keys = { jwks: jwksOf(key) };
  return { kind: 'Issuer', metadata: { name }, spec: { platform: name, keys, ...spec } };
}
