/** A house with guarded services, and what a proxy would ask it. */
import type { InjectOptions } from 'fastify';
import { newAddress, openHouse, postForm, type TestHouse } from '../../support/house.ts';
import { jwtSpiffeTokenType, tokenExchangeGrant } from '../../support/story.ts';
import { orders, tellStory } from '../token/story.ts';

/** As a service behind a proxy would name itself. */
export const shopAudience = 'https://shop.test/api';
export const shopMetadata = 'https://shop.test/.well-known/oauth-protected-resource/api';
/** Each header that says who is calling, as in no request at all. */
export const nobody = {
  'x-spiffe-id': '',
  'x-spiffe-trust-domain': '',
  'x-auth-method': '',
  'x-auth-client-id': '',
  'x-auth-audience': '',
  'x-auth-scope': '',
  'x-auth-expires': '',
};

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});
const shopScopes = ['read', 'write', 'a+b', 'items:read', 'urn:x/y'];

export interface Guard {
  readonly house: TestHouse;
  readonly story: Awaited<ReturnType<typeof tellStory>>;
  /** An access token of ours, minted by the exchange. */
  readonly token: (scope?: string, audience?: string) => Promise<string>;
  /** What the proxy asks at `/forward-auth/…`, from an address that nobody used before. */
  readonly ask: (
    path: string,
    headers?: Record<string, string | string[]>,
    options?: InjectOptions,
  ) => Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly challenge: unknown;
  /** Who is calling, as the answer says it. */
  readonly passport: Record<string, unknown>;
  readonly body: string;
  /** Our reason, from the log. */
  readonly reason: string | undefined;
}

export async function openGuard(
  environment: Record<string, string> = {},
  more: readonly unknown[] = [],
  without: readonly string[] = [],
): Promise<Guard> {
  const story = await tellStory();
  const documents = [
    ...story.documents.filter(({ kind }) => !without.includes(kind)),
    document('Resource', 'shop', { audience: shopAudience, scopes: shopScopes }),
    document('Grant', 'orders-shop', {
      subjects: [{ spiffeId: orders }],
      resource: 'shop',
      scopes: shopScopes.filter((scope) => scope !== 'write'),
    }),
    ...more,
  ];
  const house = await openHouse(documents, environment);
  return {
    house,
    story,
    token: async (scope = '', audience = shopAudience) => {
      const response = await postForm(house.app, {
        grant_type: tokenExchangeGrant,
        subject_token: await story.svid(),
        subject_token_type: jwtSpiffeTokenType,
        audience,
        scope,
      });
      if (response.statusCode !== 200) throw new Error(response.body);
      return response.json().access_token;
    },
    ask: async (path, headers = {}, options = {}) => {
      const logged = house.log().length;
      const response = await house.app.inject({
        method: 'GET',
        remoteAddress: newAddress(),
        ...options,
        url: `/forward-auth${path}`,
        headers,
      });
      const passport = Object.fromEntries(Object.keys(nobody).map((name) => [name, response.headers[name]]));
      return {
        status: response.statusCode,
        challenge: response.headers['www-authenticate'],
        passport,
        body: response.body,
        reason: /"reason":"([^"]+)"/.exec(house.log().slice(logged))?.[1],
      };
    },
  };
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
