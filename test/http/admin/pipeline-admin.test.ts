/** A GitHub Actions job that applies policy with its own OIDC token: the real command line, a real server, a double of GitHub. */

import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type IssuerDouble, startIssuerDouble } from '../../support/issuer-double.ts';
import { type RunningServer, startServer } from '../../support/server.ts';
import { auditEvent, lifetime } from '../../support/story.ts';
import { type Claims, githubClaims, jwksOf, makeKey, signToken, type TestKey } from '../../support/tokens.ts';
import { runCli } from './run-cli.ts';

const job = 'spiffe://mintmark.test/policy-repo/owner/65/repo/74';

let github: IssuerDouble;
let key: TestKey;
let endpoint: Server;
let server: RunningServer;
/** What the job's token says besides. */
let claims: Claims;

beforeAll(async () => {
  key = await makeKey('github', 'RS256');
  github = await startIssuerDouble({ keys: jwksOf(key) });
  endpoint = createServer(async ({ url = '', headers }, response) => {
    if (headers.authorization !== 'Bearer job-token') return void response.writeHead(401).end();
    const audience = new URL(url, 'http://127.0.0.1').searchParams.get('audience') ?? '';
    const value = await signToken(
      key,
      githubClaims(audience, { nbf: undefined, ...lifetime(300), ...claims }),
    );
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ value }));
  });
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  server = await startServer({
    policy: () => `
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: policy-repo }
spec:
  platform: github-actions
  issuer: https://token.actions.githubusercontent.com
  keys: { jwksUri: "${github.jwksUrl}" }
  require: { repository_id: "74", ref: refs/heads/main }
  replay: once
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: policy-repo }
spec:
  subjects: [{ spiffeId: ${job} }]
  resource: mintmark-admin
  scopes: [policy:read, policy:write, policy:admin]
  defaultScopes: [policy:read, policy:write, policy:admin]
`,
  });
});
afterAll(async () => {
  endpoint.closeAllConnections();
  endpoint.close();
  await server.remove();
  await github.close();
});
beforeEach(() => {
  claims = {};
});

/** The variables of a job with `permissions: { id-token: write }`. */
const jobEnvironment = () => ({
  MINTMARK_URL: server.url,
  ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/?api-version=2.0`,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'job-token',
});
const askForToken = () =>
  runCli(['token', '--platform', 'github-actions', '--audience', `${server.url}/admin/v1`], {
    environment: jobEnvironment(),
  });

it('applies policy without a stored secret, under its own name', async () => {
  const token = await askForToken();
  expect(token).toMatchObject({ exitCode: 0, err: '' });
  const policy = join(server.dataDir, 'applied.yaml');
  writeFileSync(
    policy,
    'apiVersion: mintmark/v1\nkind: Resource\nmetadata: { name: by-job }\nspec: { audience: by-job }\n',
  );
  const environment = { MINTMARK_URL: server.url, MINTMARK_TOKEN: token.out };
  const applied = await runCli(['apply', '-f', policy], { environment });
  expect(applied).toMatchObject({ exitCode: 0, err: '' });
  expect(applied.out).toContain('by-job');

  const headers = { authorization: `Bearer ${token.out.trim()}` };
  const read = await fetch(`${server.url}/admin/v1/resources/by-job`, { headers });
  expect(read.status).toBe(200);
  const requestId = String(read.headers.get('x-request-id'));
  expect(await auditEvent(server.url, server.adminToken(), requestId)).toMatchObject({ actor: job });
});

it.each<[string, Claims, string]>([
  ['another branch', { ref: 'refs/heads/pull-me' }, 'credential.requirement_unmet'],
  [
    'another repository',
    { repository_id: '75', repository: 'octo-org/other', sub: 'repo:octo-org/other:ref:refs/heads/main' },
    'credential.requirement_unmet',
  ],
  ['a fork’s author', { event_name: 'pull_request_target' }, 'credential.platform_refused'],
])('gets no admin token for a job of %s', async (_, changed, reason) => {
  claims = changed;
  const token = await askForToken();
  expect(token).toMatchObject({ exitCode: 1, out: '' });
  const requestId = /mintmark why (\S+)/.exec(token.err)?.[1] ?? '';
  expect(await auditEvent(server.url, server.adminToken(), requestId)).toMatchObject({ reason });
});
