/** A stand-in for the endpoints where platforms' own clients ask for a token: each as strict as its platform, on one port. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export const requestToken = 'canary-request-token';

export interface PlatformEndpointsDouble {
  readonly url: string;
  /** What was asked, as `METHOD /path`. */
  readonly asked: string[];
  close(): Promise<void>;
}

/** Signs what a platform would sign for this audience. */
export type TokenFor = (platform: string, audience: string) => Promise<string>;

type Endpoint = (request: {
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly tokenFor: TokenFor;
}) => Promise<string | undefined>;

/** By `METHOD /path`; undefined refuses. */
const endpoints: Readonly<Record<string, Endpoint>> = {
  'GET /github': async ({ query, headers, tokenFor }) => {
    if (headers.authorization !== `Bearer ${requestToken}` || query.get('api-version') !== '2.0') return;
    return JSON.stringify({ value: await tokenFor('github-actions', query.get('audience') ?? '') });
  },
  'GET /app-service': async ({ query, headers, tokenFor }) => {
    if (headers['x-identity-header'] !== requestToken || query.get('api-version') !== '2019-08-01') return;
    return azureAnswer(query, tokenFor);
  },
  'GET /metadata/identity/oauth2/token': async ({ query, headers, tokenFor }) => {
    if (headers.metadata !== 'true' || query.get('api-version') !== '2018-02-01') return;
    return azureAnswer(query, tokenFor);
  },
  'GET /computeMetadata/v1/instance/service-accounts/default/identity': async (request) => {
    const { query, headers, tokenFor } = request;
    if (headers['metadata-flavor'] !== 'Google' || query.get('format') !== 'full') return;
    return tokenFor('google', query.get('audience') ?? '');
  },
  'POST /~token': async ({ body, tokenFor }) => {
    const { token, aud } = JSON.parse(body);
    return typeof token === 'string'
      ? JSON.stringify({ token: await tokenFor('vercel', String(aud)) })
      : undefined;
  },
  // STS's query protocol; that the request is signed is all that is looked at.
  'POST /': async ({ headers, body, tokenFor }) => {
    const form = new URLSearchParams(body);
    const isSigned = headers.authorization?.startsWith('AWS4-HMAC-SHA256 Credential=');
    if (!isSigned || form.get('Action') !== 'GetWebIdentityToken') return;
    if (form.get('SigningAlgorithm') !== 'ES384' || form.get('DurationSeconds') !== '300') return;
    const token = await tokenFor('aws-web-identity', form.get('Audience.member.1') ?? '');
    return `<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetWebIdentityTokenResult>
<WebIdentityToken>${token}</WebIdentityToken><Expiration>${new Date(Date.now() + 300_000).toISOString()}</Expiration>
</GetWebIdentityTokenResult></GetWebIdentityTokenResponse>`;
  },
};

export async function startPlatformEndpoints(tokenFor: TokenFor): Promise<PlatformEndpointsDouble> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://localhost');
    // Azure's library ends the path of a metadata server that a variable names with a slash.
    const name = `${request.method} ${pathname.replace(/(?<=.)\/$/, '')}`;
    asked.push(name);
    const body = await text(request);
    const answer = await endpoints[name]?.({ query, headers: request.headers, body, tokenFor });
    response.writeHead(answer === undefined ? 400 : 200, { 'metadata-flavor': 'Google' }).end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function azureAnswer(query: URLSearchParams, tokenFor: TokenFor): Promise<string> {
  const resource = query.get('resource') ?? '';
  return JSON.stringify({
    access_token: await tokenFor('azure', resource),
    expires_on: String(Math.floor(Date.now() / 1000) + 86_400),
    resource,
    token_type: 'Bearer',
  });
}
