/** A chain of services, each of which acts for a user: gateway → agent → tool, as policy, requests and ready credentials. */
import { decodeJwt } from 'jose';
import { openHouse, postForm, type TestHouse } from '../../support/house.ts';
import { clusterIssuer, tellStory } from './story.ts';

export const user = 'spiffe://mintmark.test/cluster/ns/payments/sa/api';
export const gateway = 'spiffe://prod.test/gateway';
export const agent = 'spiffe://prod.test/agent';
export const tool = 'spiffe://prod.test/tool';
export const stranger = 'spiffe://prod.test/stranger';
export const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});
const scopes = ['read', 'write'];
const resource = (name: string, audience: string, more = {}) =>
  document('Resource', name, { audience, scopes, ...more });
const grant = (name: string, client: string, on: string, more: object = {}) =>
  document('Grant', name, {
    subjects: [{ spiffeId: client }],
    resource: on,
    scopes,
    delegation: { actFor: [{ prefix: 'spiffe://mintmark.test/cluster/ns/payments' }] },
    ...more,
  });

/** The services are resources of one another, by their SPIFFE IDs; `vault` is the service at the end. */
const documents = [
  ...[gateway, agent, tool].map((id) => resource(id.slice(id.lastIndexOf('/') + 1), id)),
  resource('vault', 'vault', { tokenFormats: ['access_token', 'jwt-svid'] }),
  resource('hub', 'https://sts.test'),
  grant('gateway-agent', gateway, 'agent', { defaultScopes: ['read'] }),
  grant('gateway-hub', gateway, 'hub'),
  grant('agent-tool', agent, 'tool'),
  grant('agent-vault', agent, 'vault', {
    claims: { set: { by: 'agent' }, copy: { ns: 'kubernetes.io.namespace' } },
  }),
  grant('tool-agent', tool, 'agent'),
  grant('tool-vault', tool, 'vault'),
  grant('agent-gateway', agent, 'gateway', {
    delegation: { actFor: [{ issuer: 'cluster' }], impersonate: true },
  }),
  grant('stranger-vault', stranger, 'vault', { delegation: undefined }),
];

export interface Hop {
  readonly client?: string;
  readonly audience: string;
  readonly scope?: string;
  /** Instead of the client's fresh SVID. */
  readonly form?: Record<string, string>;
}

export async function tellDelegationStory() {
  const story = await tellStory();
  const house: TestHouse = await openHouse([...story.documents, ...documents]);

  /** One exchange: the client, proven by a fresh SVID, comes with a subject token. */
  const send = async (subjectToken: string, { client, audience, scope, form = {} }: Hop) =>
    postForm(house.app, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: subjectToken,
      subject_token_type: tokenType('access_token'),
      audience,
      ...(scope === undefined ? {} : { scope }),
      ...(client === undefined
        ? {}
        : {
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
            client_assertion: await story.svid(client),
          }),
      ...form,
    });

  return {
    ...story,
    house,
    clusterIssuer,
    userToken: story.platformToken,
    send,
    /** The token of an exchange that must succeed. */
    hop: async (subjectToken: string, asked: Hop): Promise<string> => {
      const response = await send(subjectToken, asked);
      if (response.statusCode !== 200) throw new Error(`refused: ${response.body}`);
      return response.json().access_token;
    },
    claimsOf: (token: string) => decodeJwt(token),
  };
}

export type DelegationStory = Awaited<ReturnType<typeof tellDelegationStory>>;
