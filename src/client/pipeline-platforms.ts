/** Pipelines that give a job an address, with a bearer token, or a program to ask for a token. */
import { ask, memberOf } from './ask.ts';
import { type ClientPlatform, NoCredential, oneToken, type Surroundings } from './platform.ts';

export const githubActions: ClientPlatform = {
  platform: 'github-actions',
  looksFor: 'ACTIONS_ID_TOKEN_REQUEST_URL (permissions: id-token: write)',
  detect: ({ environment }) => Boolean(environment.ACTIONS_ID_TOKEN_REQUEST_URL),
  obtain: async (surroundings, audience) => {
    const source = 'ACTIONS_ID_TOKEN_REQUEST_URL';
    const { ACTIONS_ID_TOKEN_REQUEST_URL: base, ACTIONS_ID_TOKEN_REQUEST_TOKEN: token } =
      surroundings.environment;
    const url = withQuery(base, source, { audience });
    const headers = bearer(token, 'ACTIONS_ID_TOKEN_REQUEST_TOKEN');
    return oneToken(memberOf(await ask(surroundings, source, { url, headers }), 'value', source), source);
  },
};

/** Its ids are in the token only where they are asked for. */
export const buildkite: ClientPlatform = {
  platform: 'buildkite',
  looksFor: 'BUILDKITE=true, and asks buildkite-agent',
  detect: ({ environment }) => environment.BUILDKITE === 'true',
  obtain: (surroundings, audience) => {
    const ids = ['--claim', 'organization_id', '--claim', 'pipeline_id'];
    return printed(surroundings, 'buildkite-agent', [
      'oidc',
      'request-token',
      '--audience',
      audience,
      ...ids,
    ]);
  },
};

/** The token in the variable is for the organization itself. */
export const circleci: ClientPlatform = {
  platform: 'circleci',
  looksFor: 'CIRCLE_OIDC_TOKEN_V2, and asks circleci',
  detect: ({ environment }) => Boolean(environment.CIRCLE_OIDC_TOKEN_V2),
  obtain: (surroundings, aud) =>
    printed(surroundings, 'circleci', ['run', 'oidc', 'get', '--claims', JSON.stringify({ aud })]),
};

/** The audience is fixed: `api://AzureADTokenExchange`. */
export const azureDevops: ClientPlatform = {
  platform: 'azure-devops',
  looksFor: 'SYSTEM_OIDCREQUESTURI',
  detect: ({ environment }) => Boolean(environment.SYSTEM_OIDCREQUESTURI),
  obtain: async (surroundings) => {
    const source = 'SYSTEM_OIDCREQUESTURI';
    const { SYSTEM_OIDCREQUESTURI: base, SYSTEM_ACCESSTOKEN: token } = surroundings.environment;
    const url = withQuery(base, source, { 'api-version': '7.1-preview.1' });
    const headers = bearer(token, 'SYSTEM_ACCESSTOKEN');
    const answer = await ask(surroundings, source, { url, method: 'POST', headers });
    return oneToken(memberOf(answer, 'oidcToken', source), source);
  },
};

async function printed({ run }: Surroundings, program: string, args: readonly string[]): Promise<string> {
  const written = await run(program, args).catch(() => {
    throw new NoCredential(`${program} cannot be run, or failed`);
  });
  return oneToken(written, program);
}

function withQuery(base: string | undefined, source: string, query: Record<string, string>): string {
  if (base === undefined || !URL.canParse(base)) throw new NoCredential(`${source} is not a URL`);
  const url = new URL(base);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

function bearer(token: string | undefined, source: string): Record<string, string> {
  return { authorization: `Bearer ${oneToken(token, source)}` };
}
