import { describe, expect, it } from 'vitest';
import { exampleText, exampleWith, lineHolding, problemsOf } from './example-policy.ts';
import { type Refusal, testRefusals } from './refusals.ts';

const bundle = (title: string, part: string, by: string, field: string, message: string): Refusal => ({
  title: `a static bundle with ${title}`,
  part,
  by,
  document: 'TrustDomain/lab.example',
  field: `spec.bundle.static.keys[0]${field}`,
  message,
});

describe('TrustDomain documents', () => {
  testRefusals([
    {
      title: 'a bundle URL off https',
      part: 'url: https://bundle.prod.example',
      by: 'url: http://bundle.prod.example',
      document: 'TrustDomain/prod.example',
      field: 'spec.bundle.url',
      message: 'must be https: http is accepted on a loopback address only',
    },
    {
      title: 'a private host with a scheme',
      part: 'allowPrivateHosts: [bundle.prod.example]',
      by: 'allowPrivateHosts: ["https://bundle.prod.example"]',
      document: 'TrustDomain/prod.example',
      field: 'spec.bundle.allowPrivateHosts[0]',
      message: 'must be a host name or address alone, in lower case, without scheme, port or path',
    },
    {
      title: 'private hosts beside a static bundle',
      part: 'bundle: { static:',
      by: 'bundle: { allowPrivateHosts: [lab.example], static:',
      document: 'TrustDomain/lab.example',
      field: 'spec.bundle.allowPrivateHosts',
      message: 'nothing is fetched where the keys stand in the document: leave it out',
    },
    {
      title: 'onStale beside a static bundle',
      part: '  bundle: { static:',
      by: '  onStale: { serveFor: 1h }\n  bundle: { static:',
      document: 'TrustDomain/lab.example',
      field: 'spec.onStale',
      message: 'a static bundle is never stale: leave it out',
    },
    {
      title: 'a stale bundle served for more than a week',
      part: 'serveFor: 2h',
      by: 'serveFor: 8d',
      document: 'TrustDomain/prod.example',
      field: 'spec.onStale.serveFor',
      message: 'must be at most 7d',
    },
    {
      title: 'a JWT-SVID that may live for more than a week',
      part: '  onStale: { serveFor: 2h }',
      by: '  maxSvidLifetime: 8d',
      document: 'TrustDomain/prod.example',
      field: 'spec.maxSvidLifetime',
      message: 'must be at most 7d',
    },
    {
      title: 'an audience with a space',
      part: '  onStale: { serveFor: 2h }',
      by: '  audiences: [https://sts.example, "a b"]',
      document: 'TrustDomain/prod.example',
      field: 'spec.audiences[1]',
      message: 'must hold no spaces or control characters',
    },
    bundle(
      'an X.509 key without its certificate',
      'use: jwt-svid',
      'use: x509-svid',
      '.x5c',
      'must hold one authority’s certificate, as base64 of its DER',
    ),
    {
      ...bundle('no use', 'use: jwt-svid, ', '', '.use', 'must be jwt-svid or x509-svid'),
      at: 'kid: lab, ',
    },
    {
      ...bundle('no kid', 'kid: lab, ', '', '.kid', 'is missing: each key of a bundle has a kid'),
      at: '{ use: jwt-svid',
    },
    bundle(
      'a private key',
      'kid: lab,',
      'kid: lab, d: abc,',
      '.d',
      'holds "d", a private part: give only the public key, and treat this one as leaked',
    ),
  ]);

  it('refuses our own trust domain', () => {
    const text = `${exampleText}---
apiVersion: mintmark/v1
kind: TrustDomain
metadata: { name: mintmark.example }
spec: { bundle: { url: https://bundle.other.example, profile: https_web } }
`;
    const line = lineHolding(text, 'metadata: { name: mintmark.example }');
    const message = 'is Mintmark’s own trust domain, in which no one else may issue: name another one';
    expect(problemsOf(text)).toEqual([
      {
        document: 'TrustDomain/mintmark.example',
        field: 'metadata.name',
        file: 'policy.yaml',
        line,
        message,
      },
    ]);
  });
});

const newResource = (name: string, audience: string) => `${exampleText}---
apiVersion: mintmark/v1
kind: Resource
metadata: { name: ${name} }
spec: { audience: "${audience}" }
`;

describe('Resource documents', () => {
  it.each([
    [
      'an audience that another has',
      newResource('second', 'https://inventory.internal.example'),
      'Resource/second',
      'spec.audience',
      'is the audience of Resource/inventory (policy.yaml:47) already: each resource needs its own',
    ],
    [
      'the admin API’s audience',
      newResource('second', 'https://sts.example/admin/v1'),
      'Resource/second',
      'spec.audience',
      'is the audience of the admin API itself: choose another one',
    ],
    [
      'an audience with a space',
      newResource('second', 'two words'),
      'Resource/second',
      'spec.audience',
      'must hold no spaces or control characters',
    ],
    [
      'the admin API’s name',
      newResource('mintmark-admin', 'https://second.example'),
      'Resource/mintmark-admin',
      'metadata.name',
      'mintmark-admin is built in: choose another name',
    ],
  ])('refuses %s', (_, text, document, field, message) => {
    const marker = field === 'spec.audience' ? 'spec: { audience:' : 'metadata: { name: mintmark-admin';
    expect(problemsOf(text)).toEqual([
      { document, field, file: 'policy.yaml', line: lineHolding(text, marker), message },
    ]);
  });

  testRefusals([
    {
      title: 'reuse of tokens that never have so much left',
      part: 'tokenLifetime: 10m',
      by: 'tokenLifetime: 10m\n  reuse: { minRemaining: 600s }',
      at: 'reuse:',
      document: 'Resource/inventory',
      field: 'spec.reuse.minRemaining',
      message: 'must be shorter than tokenLifetime: no token would have so much left',
    },
    {
      title: 'reuse that leaves nothing',
      part: 'tokenLifetime: 10m',
      by: 'tokenLifetime: 10m\n  reuse: { minRemaining: 0s }',
      at: 'reuse:',
      document: 'Resource/inventory',
      field: 'spec.reuse.minRemaining',
      message: 'a duration is a whole number and a unit: 90s, 5m, 1h, 30d',
    },
    {
      title: 'reuse that says nothing',
      part: 'tokenLifetime: 10m',
      by: 'tokenLifetime: 10m\n  reuse: {}',
      at: 'reuse:',
      document: 'Resource/inventory',
      field: 'spec.reuse.minRemaining',
      message: 'is missing: write a string here',
    },
    {
      title: 'tokens that live for more than a day',
      part: 'tokenLifetime: 10m',
      by: 'tokenLifetime: 25h',
      document: 'Resource/inventory',
      field: 'spec.tokenLifetime',
      message: 'must be at most 24h',
    },
  ]);
});

const grant = (title: string, part: string, by: string, field: string, message: string): Refusal => ({
  title,
  part,
  by,
  document: 'Grant/orders',
  field: `spec.${field}`,
  message,
});

const exact = 'spiffeId: spiffe://prod.example/orders';
const prefix = 'prefix: spiffe://prod.example/team-a';

describe('Grant documents', () => {
  testRefusals([
    grant(
      'an unknown resource',
      'resource: inventory',
      'resource: inventroy',
      'resource',
      'there is no Resource named "inventroy": did you mean "inventory"?',
    ),
    grant(
      'a scope that the resource lacks',
      '  scopes: [items:read]\n',
      '  scopes: [items:read, items:wirte]\n',
      'scopes[1]',
      'Resource "inventory" has no scope "items:wirte": did you mean "items:write"?',
    ),
    grant(
      'a default scope that it does not give',
      'defaultScopes: [items:read]',
      'defaultScopes: [items:write]',
      'defaultScopes[0]',
      '"items:write" is not among this grant\'s scopes: add it there too',
    ),
    grant(
      'tokens that live for more than a day',
      'maxTokenLifetime: 5m',
      'maxTokenLifetime: 2d',
      'maxTokenLifetime',
      'must be at most 24h',
    ),
    grant(
      'a day that does not exist',
      '2027-01-01T00:00:00Z',
      '2027-02-30T00:00:00Z',
      'notAfter',
      'must be a date and time with its zone, as in 2027-01-01T00:00:00Z',
    ),
    grant(
      'a string that is no SPIFFE ID',
      exact,
      'spiffeId: https://prod.example/orders',
      'subjects[0].spiffeId',
      'must be a SPIFFE ID: spiffe://trust-domain/segment/…, with letters, digits, ".", "_" and "-" only',
    ),
    grant(
      'dot segments in a SPIFFE ID',
      exact,
      'spiffeId: spiffe://prod.example/orders/../payments',
      'subjects[0].spiffeId',
      'must be a SPIFFE ID: spiffe://trust-domain/segment/…, with letters, digits, ".", "_" and "-" only',
    ),
    grant(
      'a bare trust domain as a prefix',
      prefix,
      'prefix: spiffe://prod.example',
      'subjects[1].prefix',
      'names a trust domain without a path: for all of its workloads write trustDomain instead',
    ),
    grant(
      'a bare trust domain with a slash as a prefix',
      prefix,
      'prefix: spiffe://prod.example/',
      'subjects[1].prefix',
      'names a trust domain without a path: for all of its workloads write trustDomain instead',
    ),
    grant(
      'a prefix that ends with a slash',
      prefix,
      'prefix: spiffe://prod.example/team-a/',
      'subjects[1].prefix',
      'must not end with "/": leave the slash out',
    ),
    grant(
      'a wildcard',
      prefix,
      'prefix: spiffe://prod.example/team-*',
      'subjects[1].prefix',
      'holds "*", which is not a wildcard here: use prefix, which covers everything below its last segment',
    ),
    grant(
      'an exact ID in an unknown trust domain',
      exact,
      'spiffeId: spiffe://prd.example/orders',
      'subjects[0].spiffeId',
      'there is no TrustDomain named "prd.example": did you mean "prod.example"?',
    ),
    grant(
      'a prefix in an unknown trust domain',
      prefix,
      'prefix: spiffe://staging/team-a',
      'subjects[1].prefix',
      'there is no TrustDomain named "staging": known here: lab.example, mintmark.example, prod.example',
    ),
    grant(
      'a trust domain that is unknown',
      '- trustDomain: lab.example',
      '- trustDomain: lba.example',
      'subjects[2].trustDomain',
      'there is no TrustDomain named "lba.example": did you mean "lab.example"?',
    ),
    grant(
      'a trust domain written as an ID',
      '- trustDomain: lab.example',
      '- trustDomain: spiffe://lab.example',
      'subjects[2].trustDomain',
      'must be the name of a trust domain: prod.example, not spiffe://prod.example',
    ),
    {
      ...grant(
        'a whole trust domain that is not acknowledged',
        '  acknowledgeWide: true\n',
        '',
        'subjects[2].trustDomain',
        'is every workload of that trust domain: write spec.acknowledgeWide: true if that is meant',
      ),
      at: '- trustDomain: lab.example',
    },
    grant(
      'an unknown issuer',
      '- issuer: prod-cluster',
      '- issuer: prod-clutser',
      'subjects[3].issuer',
      'there is no Issuer named "prod-clutser": did you mean "prod-cluster"?',
    ),
    {
      ...grant(
        'nobody',
        `  subjects:\n    - ${exact}\n    - ${prefix}\n    - trustDomain: lab.example\n    - issuer: prod-cluster\n`,
        '  subjects: []\n',
        'subjects',
        'a grant without subjects would be for nobody: name at least one',
      ),
      at: 'subjects: []',
    },
  ]);

  it('says everything that is wrong at once', () => {
    const text = exampleWith('audience: https', 'audiense: https')
      .replace('resource: inventory', 'resource: stock')
      .replace('platform: oidc', 'platform: odic');
    expect(problemsOf(text).map(({ document, field }) => `${document} ${field}`)).toEqual([
      'Resource/inventory spec.audience',
      'Resource/inventory spec.audiense',
      'Issuer/edge spec.platform',
      'Grant/orders spec.resource',
    ]);
  });

  it('lists no more than 200 problems, and says how many are left', () => {
    const many = Array.from(
      { length: 250 },
      (_, index) => `---\napiVersion: mintmark/v1\nkind: Wrong\nmetadata: { name: w${index} }\n`,
    ).join('');
    const problems = problemsOf(exampleText + many);
    expect(problems).toHaveLength(201);
    expect(problems.at(-1)?.message).toBe('50 more problems are not listed');
  });
});
