/** Clouds whose machines ask a metadata server, and Kubernetes, which writes the token into a file. */
import { ask, memberOf, probeMillis } from './ask.ts';
import { type ClientPlatform, oneToken, type Surroundings } from './platform.ts';

const linkLocal = '169.254.169.254';

export const google: ClientPlatform = {
  platform: 'google',
  looksFor: `GCE_METADATA_HOST, or the metadata server at ${linkLocal}`,
  detect: async (surroundings) => {
    if (surroundings.environment.GCE_METADATA_HOST) return true;
    const answer = await probe(surroundings, `http://${linkLocal}/`, { 'metadata-flavor': 'Google' });
    return answer?.headers.get('metadata-flavor') === 'Google';
  },
  obtain: async (surroundings, audience) => {
    const source = "Google's metadata server";
    const host = surroundings.environment.GCE_METADATA_HOST || linkLocal;
    const query = new URLSearchParams({ audience, format: 'full' });
    const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/identity?${query}`;
    return oneToken(
      await ask(surroundings, source, { url, headers: { 'metadata-flavor': 'Google' } }),
      source,
    );
  },
};

export const azureAppService: ClientPlatform = {
  platform: 'azure',
  looksFor: 'IDENTITY_ENDPOINT and IDENTITY_HEADER',
  detect: ({ environment }) => Boolean(environment.IDENTITY_ENDPOINT && environment.IDENTITY_HEADER),
  obtain: async (surroundings, resource) => {
    const source = 'IDENTITY_ENDPOINT';
    const { IDENTITY_ENDPOINT: endpoint = '', IDENTITY_HEADER: secret } = surroundings.environment;
    const url = `${endpoint}?${new URLSearchParams({ 'api-version': '2019-08-01', resource })}`;
    const headers = { 'x-identity-header': oneToken(secret, 'IDENTITY_HEADER') };
    return oneToken(
      memberOf(await ask(surroundings, source, { url, headers }), 'access_token', source),
      source,
    );
  },
};

/** The projected volume's own path: the token that every pod has is for the API server, and is not offered to us. */
const projectedToken = '/var/run/mintmark/token';

export const kubernetes: ClientPlatform = {
  platform: 'kubernetes',
  looksFor: `KUBERNETES_SERVICE_HOST and a projected token in ${projectedToken}`,
  detect: async ({ environment, readTextFile }) =>
    Boolean(environment.KUBERNETES_SERVICE_HOST) &&
    (await readTextFile(projectedToken).then(
      () => true,
      () => false,
    )),
  obtain: async ({ readTextFile }) =>
    oneToken(await readTextFile(projectedToken).catch(() => undefined), projectedToken),
};

async function probe({ fetch }: Surroundings, url: string, headers: Record<string, string>) {
  const signal = AbortSignal.timeout(probeMillis);
  const answer = await fetch(url, { headers, redirect: 'error', signal }).catch(() => undefined);
  await answer?.body?.cancel();
  return answer;
}
