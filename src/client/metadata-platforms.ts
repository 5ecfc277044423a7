/** Clouds whose machines ask an endpoint of their own, and Kubernetes, which writes the token into a file. */
import { ask, linkLocal, memberOf, probe } from './ask.ts';
import { type ClientPlatform, NoCredential, oneToken, type Surroundings } from './platform.ts';

export const google: ClientPlatform = {
  platform: 'google',
  looksFor: `GCE_METADATA_HOST, or Google's metadata server at ${linkLocal}`,
  detect: ({ environment }) => Boolean(environment.GCE_METADATA_HOST),
  probe: (surroundings) =>
    probe(
      surroundings,
      { url: `http://${linkLocal}/`, headers: { 'metadata-flavor': 'Google' } },
      ({ headers }) => headers.get('metadata-flavor') === 'Google',
    ),
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

/** App Service, Functions and Container Apps by their two variables; else a virtual machine. */
export const azure: ClientPlatform = {
  platform: 'azure',
  looksFor: `IDENTITY_ENDPOINT and IDENTITY_HEADER, AZURE_POD_IDENTITY_AUTHORITY_HOST, or Azure's metadata server at ${linkLocal}`,
  detect: ({ environment }) =>
    Boolean(environment.IDENTITY_ENDPOINT && environment.IDENTITY_HEADER) ||
    Boolean(environment.AZURE_POD_IDENTITY_AUTHORITY_HOST),
  probe: (surroundings) =>
    probe(
      surroundings,
      { url: `http://${linkLocal}/metadata/versions`, headers: { metadata: 'true' } },
      async (response) => Array.isArray(memberOf(await response.text(), 'apiVersions', 'metadata')),
    ),
  obtain: async (surroundings, resource) => {
    const { source, url, version, headers } = azureEndpoint(surroundings.environment);
    const query = new URLSearchParams({ 'api-version': version, resource });
    const answer = await ask(surroundings, source, { url: `${url}?${query}`, headers });
    return oneToken(memberOf(answer, 'access_token', source), source);
  },
};

function azureEndpoint(environment: Surroundings['environment']) {
  const { IDENTITY_ENDPOINT, IDENTITY_HEADER, AZURE_POD_IDENTITY_AUTHORITY_HOST } = environment;
  if (IDENTITY_ENDPOINT) {
    const headers = { 'x-identity-header': oneToken(IDENTITY_HEADER, 'IDENTITY_HEADER') };
    return { source: 'IDENTITY_ENDPOINT', url: IDENTITY_ENDPOINT, version: '2019-08-01', headers };
  }
  const host = AZURE_POD_IDENTITY_AUTHORITY_HOST || `http://${linkLocal}`;
  const url = `${host}/metadata/identity/oauth2/token`;
  return { source: "Azure's metadata server", url, version: '2018-02-01', headers: { metadata: 'true' } };
}

const flySocket = '/.fly/api';

export const fly: ClientPlatform = {
  platform: 'fly',
  looksFor: `FLY_MACHINE_ID, and asks over ${flySocket}`,
  detect: ({ environment }) => Boolean(environment.FLY_MACHINE_ID),
  obtain: async ({ postToSocket }, aud) => {
    const { status, text } = await postToSocket(flySocket, '/v1/tokens/oidc', JSON.stringify({ aud })).catch(
      () => {
        throw new NoCredential(`${flySocket} cannot be reached`);
      },
    );
    if (status !== 200) throw new NoCredential(`${flySocket} answered ${status}`);
    return oneToken(text, flySocket);
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
