import { describe, expect, it } from 'vitest';
import { suggest } from '../../../src/core/policy/nearest-word.ts';
import { compileText, context, exampleText, exampleWith, problemsOf } from './example-policy.ts';
import { type Refusal, testRefusals } from './refusals.ts';

const ecKey =
  'kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0';
/** 1024 bits. */
const shortRsaKey =
  'kty: RSA, e: AQAB, n: sP8DeH7rM3iV9CZNrXy2PIQK4M9o8SyEuCB2vEWBHEzavqJLQX6pAm5jZkzffJVE5gZllOoy6m4QrawcOtzz09DpsB9JL3CEmXXlfTashoudkWgCHIrTyvl7-e_DDQsvjBwzms1XqiQs7BlDCrRhVA3-RTcrfGcLHR_WvndRIR0';

const clusterUrl = 'issuer: https://oidc.cluster.example';
const clusterKeys = 'keys: { discovery: true }';
const edgeKeys = `keys: { jwks: { keys: [ { kid: edge, ${ecKey} } ] } }`;
const ciSubject = 'subject: /ci/{repository_id}';

const platformNames = context.platforms.map(({ name }) => name);

const issuerUrl = (title: string, url: string, message: string): Refusal => ({
  title: `an issuer URL ${title}`,
  part: clusterUrl,
  by: `issuer: ${url}`,
  document: 'Issuer/prod-cluster',
  field: 'spec.issuer',
  message,
});

const subject = (title: string, template: string, message: string): Refusal => ({
  title: `a subject template ${title}`,
  part: ciSubject,
  by: `subject: "${template}"`,
  document: 'Issuer/acme-ci',
  field: 'spec.subject',
  message,
});

const inlineKey = (title: string, keys: string, field: string, message: string): Refusal => ({
  title: `inline keys with ${title}`,
  part: edgeKeys,
  by: `keys: { jwks: { keys: ${keys} } }`,
  document: 'Issuer/edge',
  field: `spec.keys.jwks.keys${field}`,
  message,
});

describe('Issuer documents', () => {
  testRefusals([
    {
      title: 'an unknown platform, naming the nearest',
      part: 'platform: kubernetes',
      by: 'platform: kubernets',
      document: 'Issuer/prod-cluster',
      field: 'spec.platform',
      message: 'unknown platform "kubernets": did you mean "kubernetes"?',
    },
    {
      title: 'an unknown platform, naming all',
      part: 'platform: kubernetes',
      by: 'platform: mainframe',
      document: 'Issuer/prod-cluster',
      field: 'spec.platform',
      message: `unknown platform "mainframe": ${suggest('mainframe', platformNames)}`,
    },
    issuerUrl(
      'off https',
      'http://oidc.cluster.example',
      'must be https: http is accepted on a loopback address only',
    ),
    ...['localhost.evil.example', '127.evil.example', '127.0.0.1.evil.example', '[::2]', '10.0.0.1'].map(
      (host) =>
        issuerUrl(
          `off https, on ${host}`,
          `"http://${host}"`,
          'must be https: http is accepted on a loopback address only',
        ),
    ),
    issuerUrl(
      'of another scheme',
      'ftp://oidc.cluster.example',
      'must be an https:// URL, written in lower case',
    ),
    issuerUrl('without a scheme', 'oidc.cluster.example', 'must be an https:// URL, written in lower case'),
    issuerUrl(
      'with a query',
      'https://oidc.cluster.example?a=b',
      'must have no query and no fragment: leave out "?", "#" and what follows',
    ),
    issuerUrl(
      'with a fragment',
      '"https://oidc.cluster.example#a"',
      'must have no query and no fragment: leave out "?", "#" and what follows',
    ),
    issuerUrl(
      'with a password, which is not repeated',
      'https://me:secret@oidc.cluster.example',
      'must hold no user name or password before the host',
    ),
    issuerUrl(
      'with a space',
      '"https://oidc.cluster example"',
      'must be a URL with a host and no spaces or backslashes',
    ),
    issuerUrl(
      'that is our own',
      'https://sts.example',
      'is Mintmark itself, whose tokens are never credentials: name the platform’s own issuer',
    ),
    issuerUrl(
      'that is our own, spelt another way',
      'https://STS.example:443/',
      'is Mintmark itself, whose tokens are never credentials: name the platform’s own issuer',
    ),
    {
      title: 'a jwksUri off https',
      part: clusterKeys,
      by: 'keys: { jwksUri: http://oidc.cluster.example/jwks }',
      document: 'Issuer/prod-cluster',
      field: 'spec.keys.jwksUri',
      message: 'must be https: http is accepted on a loopback address only',
    },
    {
      title: 'a private host with a port',
      part: clusterKeys,
      by: 'keys: { discovery: true, allowPrivateHosts: ["oidc.cluster.example:8443"] }',
      document: 'Issuer/prod-cluster',
      field: 'spec.keys.allowPrivateHosts[0]',
      message: 'must be a host name or address alone, in lower case, without scheme, port or path',
    },
    {
      title: 'private hosts where nothing is fetched',
      part: edgeKeys,
      by: edgeKeys.replace('keys: {', 'keys: { allowPrivateHosts: [edge.example],'),
      document: 'Issuer/edge',
      field: 'spec.keys.allowPrivateHosts',
      message: 'nothing is fetched where the keys stand in the document: leave it out',
    },
    inlineKey('no key', '[]', '', 'must hold at least one key'),
    inlineKey(
      'a private key',
      `[ { kid: a, ${ecKey}, d: jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI } ]`,
      '[0].d',
      'holds "d", a private part: give only the public key, and treat this one as leaked',
    ),
    inlineKey(
      'a shared secret',
      '[ { kid: a, kty: oct, k: c2VjcmV0 } ]',
      '[0].kty',
      'a symmetric key is a shared secret: give a public key',
    ),
    inlineKey(
      'half a key',
      '[ { kid: a, kty: EC, crv: P-256 } ]',
      '[0]',
      'is not a complete public key: an EC key has crv, x and y, an RSA key n and e, an OKP key crv and x',
    ),
    inlineKey(
      'a short RSA key',
      `[ { kid: a, ${shortRsaKey} } ]`,
      '[0]',
      'an RSA key needs at least 2048 bits, not 1024',
    ),
    inlineKey('an encryption key', `[ { use: enc, ${ecKey} } ]`, '[0].use', 'must be sig, or left out'),
    inlineKey('an empty kid', `[ { kid: "", ${ecKey} } ]`, '[0].kid', 'must be a string that is not empty'),
    inlineKey(
      'one kid twice',
      `[ { kid: a, ${ecKey} }, { kid: a, ${ecKey} } ]`,
      '[1].kid',
      'another key of this set has the same kid',
    ),
    {
      title: 'a shared issuer without a tenant',
      part: 'require: { repository_owner_id: "65" }',
      by: 'require: { ref: refs/heads/main }',
      document: 'Issuer/acme-ci',
      field: 'spec.require',
      message:
        'anyone can get a token from this issuer: pin repository_owner_id or repository_id or enterprise_id to your own',
    },
    {
      title: 'a required claim that is no claim path',
      part: 'require: { repository_owner_id: "65" }',
      by: 'require: { repository_owner_id: "65", "a..b": c }',
      document: 'Issuer/acme-ci',
      field: 'spec.require["a..b"]',
      message: 'is not a claim path: write segments joined by dots, none of them empty, without spaces',
    },
    {
      title: 'a number that JSON cannot hold',
      part: 'require: { repository_owner_id: "65" }',
      by: 'require: { repository_owner_id: 12345678901234567891 }',
      document: 'Issuer/acme-ci',
      field: 'spec.require.repository_owner_id',
      message: 'is a number too large to be exact: if the claim is a string, quote it',
    },
    {
      title: 'tokens older than a week',
      part: 'maxTokenAge: 1h',
      by: 'maxTokenAge: 8d',
      document: 'Issuer/prod-cluster',
      field: 'spec.maxTokenAge',
      message: 'must be at most 7d',
    },
    {
      title: 'an audience with a space',
      part: 'audiences: [https://sts.example]',
      by: 'audiences: ["https://sts.example "]',
      document: 'Issuer/prod-cluster',
      field: 'spec.audiences[0]',
      message: 'must hold no spaces or control characters',
    },
    {
      title: 'a person’s name in the audit',
      part: 'auditClaims: [repository, ref]',
      by: 'auditClaims: [repository, actor]',
      document: 'Issuer/acme-ci',
      field: 'spec.auditClaims[1]',
      message: 'names a person or an e-mail address, which the audit never keeps: name an id',
    },
    {
      title: 'an e-mail address in the audit, wherever it stands',
      part: 'auditClaims: [repository, ref]',
      by: 'auditClaims: [repository, ref, user.email]',
      document: 'Issuer/acme-ci',
      field: 'spec.auditClaims[2]',
      message: 'names a person or an e-mail address, which the audit never keeps: name an id',
    },
    {
      title: 'an audit claim that is no claim path',
      part: 'auditClaims: [repository, ref]',
      by: 'auditClaims: ["{repository}"]',
      document: 'Issuer/acme-ci',
      field: 'spec.auditClaims[0]',
      message: 'is not a claim path: write segments joined by dots, none of them empty, without spaces',
    },
    subject('without a slash', 'ci/{repository_id}', 'a subject template begins with "/", as in /prod/{sub}'),
    subject(
      'whose first segment is anyone’s',
      '/{repository_id}',
      'the first segment must be literal, so that no other issuer can give the same ID: write /acme-ci/{repository_id}',
    ),
    {
      ...subject('that lies under another issuer’s', '/prod-cluster/ns/x/{repository_id}', ''),
      message:
        "its IDs lie under /prod-cluster/ns/, which is Issuer/prod-cluster (policy.yaml:4)'s: begin it with segments of its own, as in /acme-ci/…",
    },
    {
      ...subject('that shares another issuer’s segments', '/edge/{repository_id}', ''),
      document: 'Issuer/edge',
      at: 'spec:\n  platform: oidc',
      message:
        "its IDs lie under /edge/, which is Issuer/acme-ci (policy.yaml:19)'s: begin it with segments of its own, as in /edge/…",
    },
  ]);
});

describe('issuers that share an iss', () => {
  const another = (keys: string, require = '{}') => `${exampleText}---
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: another }
spec:
  platform: oidc
  issuer: https://kubernetes.default.svc
  keys: ${keys}
  require: ${require}
`;
  const otherKey = '{ kid: other, kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }';
  const message =
    'one token could satisfy this document and Issuer/edge (policy.yaml:27): give them different inline keys or jwksUri, or let both require one claim with different values';

  it.each([
    ['discovery beside inline keys', '{ discovery: true }'],
    ['the same key', `{ jwks: { keys: [ { kid: renamed, ${ecKey} } ] } }`],
    ['the same kid', `{ jwks: { keys: [ ${otherKey.replace('other', 'edge')} ] } }`],
  ])('are refused with %s', (_, keys) => {
    const text = another(keys);
    const [found, ...others] = problemsOf(text);
    expect(others).toEqual([]);
    expect(found).toEqual({
      document: 'Issuer/another',
      field: 'spec.issuer',
      file: 'policy.yaml',
      line: text.split('\n').lastIndexOf('  issuer: https://kubernetes.default.svc') + 1,
      message,
    });
  });

  it.each([
    ['other inline keys', `{ jwks: { keys: [ ${otherKey} ] } }`],
    ['a jwksUri', '{ jwksUri: https://another.example/jwks }'],
  ])('are accepted with %s', (_, keys) => {
    expect(compileText(another(keys)).issuers.get('https://kubernetes.default.svc')).toHaveLength(2);
  });

  const shared = (first: string, second: string) =>
    exampleWith('require: { repository_owner_id: "65" }', `require: ${first}`) +
    `---
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: other-ci }
spec:
  platform: github-actions
  issuer: https://token.actions.githubusercontent.com
  require: ${second}
`;

  it.each([
    [
      'one value is pinned by both',
      '{ repository_owner_id: ["65", "66"] }',
      '{ repository_owner_id: ["66", "67"] }',
    ],
    ['different claims are pinned', '{ repository_owner_id: "65" }', '{ repository_id: "1" }'],
    [
      'one pins more than the other',
      '{ repository_owner_id: "65" }',
      '{ repository_owner_id: "65", ref: main }',
    ],
  ])('are refused where %s', (_, first, second) => {
    expect(problemsOf(shared(first, second)).map(({ document, field }) => [document, field])).toEqual([
      ['Issuer/other-ci', 'spec.issuer'],
    ]);
  });

  it.each([
    ['one claim tells them apart', '{ repository_owner_id: "65" }', '{ repository_owner_id: "66" }'],
    [
      'a second claim tells them apart',
      '{ repository_owner_id: "65", ref: main }',
      '{ repository_owner_id: "65", ref: dev }',
    ],
    ['"1" and 1 do', '{ repository_owner_id: "1" }', '{ repository_owner_id: 1 }'],
  ])('are accepted where %s', (_, first, second) => {
    const issuers = compileText(shared(first, second)).issuers;
    expect(issuers.get('https://token.actions.githubusercontent.com')).toHaveLength(2);
  });
});
