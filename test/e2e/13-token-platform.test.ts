/** `mintmark token --platform`, as a process, on a made-up machine of each platform and against a real server. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { runCli } from '../http/admin/run-cli.ts';
import { auditEvent, functionId, type Story, startStory } from '../support/story.ts';

let story: Story;
let endpoint: Server;
let origin: string;
let credential: string;
let asked: { method: string | undefined; url: string; headers: IncomingMessage['headers'] }[];
let answer: { status: number; body: string };

beforeAll(async () => {
  story = await startStory();
  endpoint = createServer(({ method, url = '', headers }, response) => {
    asked.push({ method, url, headers });
    response.writeHead(answer.status, { location: `${story.server.url}/docs` }).end(answer.body);
  });
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}`;
});
afterAll(async () => {
  endpoint?.closeAllConnections();
  endpoint?.close();
  await story?.close();
});
beforeEach(async () => {
  asked = [];
  answer = { status: 200, body: '' };
  credential = await story.platformToken(story.server.url);
});

function run(environment: Record<string, string>, ...args: string[]) {
  return runCli(['token', '--audience', 'alpha', ...args], {
    environment: { MINTMARK_URL: story.server.url, ...environment },
  });
}

function expectAlpha(result: Awaited<ReturnType<typeof run>>) {
  expect(result).toMatchObject({ exitCode: 0 });
  expect(decodeJwt(result.out.trim())).toMatchObject({ aud: 'alpha', sub: functionId });
}

describe.each([
  ['gitlab-ci', 'MINTMARK_ID_TOKEN', { GITLAB_CI: 'true' }],
  ['bitbucket', 'BITBUCKET_STEP_OIDC_TOKEN', {}],
  ['terraform-cloud', 'TFC_WORKLOAD_IDENTITY_TOKEN', {}],
  ['spacelift', 'SPACELIFT_OIDC_TOKEN', {}],
  ['modal', 'MODAL_IDENTITY_TOKEN', {}],
  ['nomad', 'NOMAD_TOKEN_mintmark', {}],
])('%s', (platform, variable, rest) => {
  test('is found by its variable, whose token is exchanged', async () => {
    const result = await run({ ...rest, [variable]: credential }, '--platform', 'auto', '--verbose');
    expectAlpha(result);
    expect(result.err).toContain(`mintmark: platform ${platform}: found `);
    expect(result.err).toContain(variable);
    expect(result.err).not.toContain(credential);
  });

  test('a token for another audience is refused, and not shown', async () => {
    const other = await story.platformToken('https://other.test');
    const result = await run({ ...rest, [variable]: other }, '--platform', 'auto');
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain('invalid_token');
    expect(result.err).not.toContain(other);
    const requestId = /mintmark why (\S+)/.exec(result.err)?.[1] ?? '';
    const event = await auditEvent(story.server.url, story.server.adminToken(), requestId);
    expect(event).toMatchObject({ reason: 'credential.audience_mismatch' });
  });

  test('named without its variable, says which', async () => {
    const result = await run(rest, '--platform', platform);
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain(`${variable} holds no credential`);
  });
});

const endpoints = [
  {
    platform: 'github-actions',
    environment: () => ({
      ACTIONS_ID_TOKEN_REQUEST_URL: `${origin}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'canary-request-token',
    }),
    body: () => JSON.stringify({ value: credential }),
    method: 'GET',
    path: () => `/token?api-version=2.0&audience=${encodeURIComponent(story.server.url)}`,
    header: ['authorization', 'Bearer canary-request-token'],
  },
  {
    platform: 'azure-devops',
    environment: () => ({
      SYSTEM_OIDCREQUESTURI: `${origin}/oidctoken`,
      SYSTEM_ACCESSTOKEN: 'canary-request-token',
    }),
    body: () => JSON.stringify({ oidcToken: credential }),
    method: 'POST',
    path: () => '/oidctoken?api-version=7.1-preview.1',
    header: ['authorization', 'Bearer canary-request-token'],
  },
  {
    platform: 'azure',
    environment: () => ({ IDENTITY_ENDPOINT: `${origin}/msi`, IDENTITY_HEADER: 'canary-request-token' }),
    body: () => JSON.stringify({ access_token: credential }),
    method: 'GET',
    path: () => `/msi?api-version=2019-08-01&resource=${encodeURIComponent(story.server.url)}`,
    header: ['x-identity-header', 'canary-request-token'],
  },
  {
    platform: 'azure',
    environment: () => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: origin }),
    body: () => JSON.stringify({ access_token: credential }),
    method: 'GET',
    path: () =>
      `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent(story.server.url)}`,
    header: ['metadata', 'true'],
  },
  {
    platform: 'google',
    environment: () => ({ GCE_METADATA_HOST: new URL(origin).host }),
    body: () => credential,
    method: 'GET',
    path: () =>
      `/computeMetadata/v1/instance/service-accounts/default/identity?audience=${encodeURIComponent(story.server.url)}&format=full`,
    header: ['metadata-flavor', 'Google'],
  },
] as const;

describe.each(endpoints)(
  '$platform by $header.0',
  ({ platform, environment, body, method, path, header }) => {
    test('is found and asked as it wants to be, and what it gives is exchanged', async () => {
      answer.body = body();
      const result = await run(environment(), '--platform', 'auto', '--verbose');
      expectAlpha(result);
      expect(result.err).toContain(`mintmark: platform ${platform}: found `);
      expect(asked).toMatchObject([{ method, url: path(), headers: { [header[0]]: header[1] } }]);
    });

    test.each([404, 500])('an answer of %i is said, without what it says', async (status) => {
      answer = { status, body: body() };
      const result = await run(environment(), '--platform', 'auto');
      expect(result).toMatchObject({ exitCode: 1, out: '' });
      expect(result.err).toContain(` answered ${status}`);
      expect(result.err).not.toMatch(/canary|eyJ/);
    });

    test('a redirect is not followed', async () => {
      answer = { status: 302, body: '' };
      const result = await run(environment(), '--platform', 'auto');
      expect(result).toMatchObject({ exitCode: 1, out: '' });
      expect(result.err).toContain('cannot be reached');
      expect(asked).toHaveLength(1);
    });

    test('an answer that is no token is not sent on', async () => {
      answer.body = '<html>canary</html> for you';
      const result = await run(environment(), '--platform', 'auto');
      expect(result).toMatchObject({ exitCode: 1, out: '' });
      expect(result.err).toMatch(/holds no credential|did not answer with a JSON object/);
      expect(result.err).not.toContain('canary');
    });
  },
);

const programs = [
  {
    platform: 'buildkite',
    program: 'buildkite-agent',
    environment: { BUILDKITE: 'true' },
    args: () => [
      ...['oidc', 'request-token', '--audience', story.server.url],
      ...['--claim', 'organization_id', '--claim', 'pipeline_id'],
    ],
  },
  {
    platform: 'circleci',
    program: 'circleci',
    environment: { CIRCLE_OIDC_TOKEN_V2: 'canary-of-the-organization' },
    args: () => ['run', 'oidc', 'get', '--claims', JSON.stringify({ aud: story.server.url })],
  },
];

describe.each(programs)('$platform', ({ platform, program, environment, args }) => {
  /** A program of that name, which writes its arguments to a file before it does what the script says. */
  function machineWhere(script: string) {
    const folder = mkdtempSync(join(tmpdir(), 'mintmark-program-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const text = `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/asked\n${script}\n`;
    writeFileSync(join(folder, program), text, { mode: 0o755 });
    return { folder, environment: { ...environment, PATH: `${folder}:${process.env.PATH}` } };
  }

  test('is found, and its program is asked for a token that is for us', async () => {
    const machine = machineWhere(`echo ${credential}`);
    const result = await run(machine.environment, '--platform', 'auto', '--verbose');
    expectAlpha(result);
    expect(result.err).toContain(`mintmark: platform ${platform}: found `);
    expect(readFileSync(join(machine.folder, 'asked'), 'utf8').trim().split('\n')).toEqual(args());
  });

  test.each([
    ['echo canary; echo canary >&2; exit 1', `${program} cannot be run, or failed`],
    ['echo canary page', `${program} holds no credential`],
  ])('a program that does "%s" is said, without what it says', async (script, message) => {
    const result = await run(machineWhere(script).environment, '--platform', 'auto');
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain(message);
    expect(result.err).not.toContain('canary');
  });

  test('a program that is not there is said', async () => {
    const result = await run(environment, '--platform', 'auto');
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain(`${program} cannot be run, or failed`);
  });
});

describe('aws-caller-identity', () => {
  test('sends a signed request as a token exchange, which needs a document', async () => {
    const environment = {
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLEEXAMPLE02',
      AWS_SECRET_ACCESS_KEY: 'canary-secret',
    };
    const result = await run(environment, '--scope', 'alpha', '--platform', 'auto', '--verbose');
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain('mintmark: platform aws-caller-identity: found ');
    expect(result.err).not.toMatch(/canary|Signature/);
    const requestId = /mintmark why (\S+)/.exec(result.err)?.[1] ?? '';
    const event = await auditEvent(story.server.url, story.server.adminToken(), requestId);
    expect(event).toMatchObject({
      reason: 'credential.unknown_issuer',
      detail: 'no Issuer document of platform aws-caller-identity',
    });
  });
});

describe('mintmark token --platform', () => {
  test('takes the pipeline before the machine, unless another is named', async () => {
    answer.body = credential;
    const both = { MODAL_IDENTITY_TOKEN: credential, GCE_METADATA_HOST: new URL(origin).host };
    expect((await run(both, '--platform', 'auto', '--verbose')).err).toContain('platform modal: found ');
    const named = await run(both, '--platform', 'google', '--verbose');
    expectAlpha(named);
    expect(named.err).toContain('platform google: named on the command line');
  });

  test('asks for another audience where one is given', async () => {
    answer.body = JSON.stringify({ access_token: credential });
    const azure = { IDENTITY_ENDPOINT: `${origin}/msi`, IDENTITY_HEADER: 'canary-request-token' };
    expectAlpha(await run(azure, '--platform', 'azure', '--platform-audience', 'api://sts-example'));
    expect(asked[0]?.url).toContain('resource=api%3A%2F%2Fsts-example');
  });

  test('asks no platform in the name of a server that names another issuer', async () => {
    const url = story.server.url.replace('127.0.0.1', 'localhost');
    const environment = { GCE_METADATA_HOST: new URL(origin).host, MINTMARK_URL: url };
    const result = await run(environment, '--platform', 'auto');
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain(`says that its issuer is ${story.server.url}`);
    expect(asked).toEqual([]);
  });

  test.each([
    ['an unknown name', ['--platform', 'heroku'], 1, 'there is no platform "heroku"'],
    ['neither', [], 2, 'one of --platform and --credential-file'],
    ['both', ['--platform', 'auto', '--credential-file', '-'], 2, 'one of --platform and --credential-file'],
  ])('refuses %s', async (_what, args, exitCode, message) => {
    const result = await run({ MODAL_IDENTITY_TOKEN: credential }, ...args);
    expect(result).toMatchObject({ exitCode, out: '' });
    expect(result.err).toContain(message);
  });
});
