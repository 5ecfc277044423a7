/** A real OpenID provider on loopback (`oidc-provider`), and a person whose browser signs in there. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';

export interface OpenIdProvider {
  readonly url: string;
  /** A public native client, whose redirect is a loopback address of any port (RFC 8252 §7.3). */
  readonly clientId: string;
  close(): Promise<void>;
}

export async function startOpenIdProvider(): Promise<OpenIdProvider> {
  const clientId = 'mintmark-cli';
  const server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(url, {
    clients: [
      {
        client_id: clientId,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    cookies: { keys: ['a key of the test alone'] },
  });
  const handle = provider.callback();
  return {
    url,
    clientId,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Goes where the address leads, signs in and consents, or gives up. Resolves with the answer of the client's own listener. */
export async function signInAs(person: string | undefined, address: string): Promise<Response> {
  const jar = new Map<string, string>();
  let url = new URL(address);
  let form: Record<string, string> | undefined;
  for (let steps = 0; steps < 20; steps++) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    });
    form = undefined;
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url);
      if (url.pathname === '/callback') return fetch(url);
      continue;
    }
    if (!url.pathname.startsWith('/interaction/')) return response;
    const page = await response.text();
    if (person === undefined) url = new URL(`${url.pathname}/abort`, url);
    else if (page.includes('name="login"')) form = { prompt: 'login', login: person, password: 'any' };
    else form = { prompt: 'consent' };
  }
  throw new Error(`no end of redirects at ${url}`);
}
