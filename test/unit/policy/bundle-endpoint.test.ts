import { beforeAll, describe, expect, it } from 'vitest';
import { bundleEndpointProblems } from '../../../src/core/policy/bundle-endpoint.ts';
import { documentSchemas, type TrustDomainDocument } from '../../../src/core/policy/document.ts';
import { makeSpiffeAuthority, type SpiffeAuthority } from '../../support/spiffe-authority.ts';
import { bundleOf, makeKey, type TestKey } from '../../support/tokens.ts';
import { compileText } from './example-policy.ts';

type Bundle = TrustDomainDocument['spec']['bundle'];

let authority: SpiffeAuthority;
let leaf: string;
let key: TestKey;
let right: Bundle;

beforeAll(async () => {
  authority = await makeSpiffeAuthority('prod.example');
  key = await makeKey('k1');
  const { cert } = await authority.issue('spiffe://prod.example/spire/server');
  leaf = cert.replace(/-----[^-]+-----|\s/g, '');
  right = {
    url: 'https://bundle.prod.example',
    profile: 'https_spiffe',
    endpointSpiffeId: 'spiffe://prod.example/spire/server',
    bootstrap: { keys: [authority.rootJwk] },
  };
});

/** Parsed by the schema first, then checked, as a document is. */
function problemsOf(bundle: unknown) {
  const document = { apiVersion: 'mintmark/v1', kind: 'TrustDomain', metadata: { name: 'prod.example' } };
  const parsed = documentSchemas.TrustDomain.safeParse({ ...document, spec: { bundle } });
  if (!parsed.success) return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  return bundleEndpointProblems(parsed.data.spec.bundle, 'prod.example').map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );
}

const notRoot = 'bootstrap.keys.0.x5c: must hold one certificate authority, as base64 of its DER';
const foreign = 'endpointSpiffeId: must be a SPIFFE ID of the trust domain itself: spiffe://prod.example/…';

describe('the profile https_spiffe', () => {
  it('is accepted with an ID of its own trust domain and a bundle as it was exported', () => {
    expect(problemsOf(right)).toEqual([]);
    const exported = { keys: [...bundleOf(key).keys, authority.rootJwk], spiffe_sequence: 1 };
    expect(problemsOf({ ...right, bootstrap: exported })).toEqual([]);
  });

  it.each([
    [
      'without an ID',
      { endpointSpiffeId: undefined },
      'endpointSpiffeId: is missing: https_spiffe needs the server’s SPIFFE ID',
    ],
    [
      'with an ID of another trust domain',
      { endpointSpiffeId: 'spiffe://other.example/spire/server' },
      foreign,
    ],
    ['with no ID at all', { endpointSpiffeId: 'https://prod.example/spire' }, foreign],
    ['with an ID without a path', { endpointSpiffeId: 'spiffe://prod.example' }, foreign],
    [
      'without a bootstrap bundle',
      { bootstrap: undefined },
      'bootstrap: is missing: https_spiffe needs a first bundle, with the roots of X.509-SVIDs',
    ],
    [
      'with a bootstrap bundle without roots',
      { bootstrap: { keys: [] } },
      'bootstrap.keys: must hold at least one key whose use is x509-svid',
    ],
    [
      'without TLS',
      { url: 'http://127.0.0.1:8443' },
      'url: must be https: the server proves its SPIFFE ID by TLS',
    ],
    [
      'with an unknown profile',
      { profile: 'https_any' },
      'spec.bundle.profile: Invalid option: expected one of "https_web"|"https_spiffe"',
    ],
  ])('is refused %s', (_how, change, problem) => {
    expect(problemsOf({ ...right, ...change })).toEqual([problem]);
  });

  it('is refused with a root that is no single authority', () => {
    const rootJwks = [
      { x5c: [leaf] },
      { x5c: ['bm90IGEgY2VydGlmaWNhdGU='] },
      { x5c: [] },
      { x5c: 'text' },
    ].map((members) => ({ ...authority.rootJwk, ...members }));
    for (const rootJwk of rootJwks) {
      expect(problemsOf({ ...right, bootstrap: { keys: [rootJwk] } })).toEqual([notRoot]);
    }
    const two = [...authority.rootJwk.x5c, ...authority.rootJwk.x5c];
    expect(problemsOf({ ...right, bootstrap: { keys: [{ ...authority.rootJwk, x5c: two }] } })).toEqual([
      notRoot,
    ]);
  });

  it('owns its fields: https_web and a static bundle have neither', () => {
    const message = 'belongs to the profile https_spiffe: leave it out';
    expect(problemsOf({ ...right, profile: 'https_web' })).toEqual([
      `endpointSpiffeId: ${message}`,
      `bootstrap: ${message}`,
    ]);
    expect(problemsOf({ static: bundleOf(key), bootstrap: right.bootstrap })).toEqual([
      `bootstrap: ${message}`,
    ]);
  });
});

describe('the Workload API', () => {
  it('is accepted as a socket of this machine', () => {
    const workloadApi = 'unix:///run/spire/agent.sock';
    expect(problemsOf({ workloadApi })).toEqual([]);
    const document = { apiVersion: 'mintmark/v1', kind: 'TrustDomain', metadata: { name: 'prod.example' } };
    const policy = compileText(JSON.stringify({ ...document, spec: { bundle: { workloadApi } } }));
    expect(policy.trustDomains.get('prod.example')?.bundle).toEqual({ workloadApi });
  });

  it.each([
    'tcp://127.0.0.1:8081',
    'unix:run/agent.sock',
    'unix://run/agent.sock',
    '/run/agent.sock',
    'unix:///',
  ])('is refused at %s', (workloadApi) => {
    const message = 'must be unix:// and an absolute path: unix:///run/spire/agent.sock';
    expect(problemsOf({ workloadApi })).toEqual([`workloadApi: ${message}`]);
  });

  it('is the only source of its document', () => {
    const workloadApi = 'unix:///run/spire/agent.sock';
    const oneSource = ['spec.bundle: give either url and profile, or workloadApi, or static'];
    expect(problemsOf({ workloadApi, static: bundleOf(key) })).toEqual(oneSource);
    expect(problemsOf({ workloadApi, profile: 'https_web' })).toEqual(oneSource);
    expect(problemsOf({ workloadApi, allowPrivateHosts: ['a'] })).toEqual([
      'allowPrivateHosts: has no use beside workloadApi, which is a socket of this machine: leave it out',
    ]);
  });
});
