/** Signs a person in at an OpenID provider: authorization code with PKCE on loopback (RFC 8252, RFC 7636, OpenID Connect Core §3.1). */
import * as oauth from 'oauth4webapi';
import type { CliDependencies } from './dependencies.ts';
import { CommandFailure, usageFailure } from './exit.ts';
import { listenForRedirect } from './loopback-redirect.ts';
import { plain } from './paint.ts';
import { isLoopback } from './server.ts';

export interface SignInOptions {
  /** The provider's issuer identifier. */
  readonly provider: string;
  readonly clientId: string;
  /** Shows the person where to sign in. */
  readonly show: (url: string) => void;
}

const signInMillis = 5 * 60_000;
const requestMillis = 30_000;

/**
 * The ID token, for the client's own id as its audience; its signature is for whoever relies on it to verify. Throws
 * `CommandFailure` where the provider, the person or the answer is not as it must be; no message holds a code or a token.
 */
export async function signIn(dependencies: CliDependencies, options: SignInOptions): Promise<string> {
  const provider = providerUrl(options.provider);
  const request = {
    [oauth.customFetch]: (
      url: string,
      { body, ...init }: oauth.CustomFetchOptions<'GET' | 'POST', URLSearchParams | undefined>,
    ) => dependencies.fetch(url, { ...init, body: body ?? null }),
    [oauth.allowInsecureRequests]: provider.protocol === 'http:', // on this machine alone, see providerUrl
    signal: () => AbortSignal.timeout(requestMillis),
  };
  const client: oauth.Client = { client_id: options.clientId };
  const redirect = await listenForRedirect();
  try {
    const discovered = await oauth.discoveryRequest(provider, request);
    const server = await oauth.processDiscoveryResponse(provider, discovered);
    const state = oauth.generateRandomState();
    const nonce = oauth.generateRandomNonce();
    const verifier = oauth.generateRandomCodeVerifier();
    const query = {
      client_id: options.clientId,
      response_type: 'code',
      scope: 'openid',
      redirect_uri: redirect.redirectUri,
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    };
    options.show(authorizationUrl(server, provider, query));
    const answer = oauth.validateAuthResponse(server, client, await redirect.answer(signInMillis), state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.None(), // a program on a person's machine keeps no secret (RFC 8252 §8.4); PKCE stands in for one
      answer,
      redirect.redirectUri,
      verifier,
      request,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    if (tokens.id_token === undefined) throw new CommandFailure('the provider sent no ID token');
    return tokens.id_token;
  } catch (error) {
    throw failureOf(error, provider);
  } finally {
    redirect.close();
  }
}

/** https, or http on this machine: what comes from there decides who one is. */
function providerUrl(text: string): URL {
  if (!URL.canParse(text)) throw usageFailure(`--provider is not a URL: ${plain(text)}`);
  const url = new URL(text);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return url;
  throw usageFailure('--provider must be https (http only on loopback)');
}

/** What a browser is sent to is a web page: another scheme could start another program. */
function authorizationUrl(
  { authorization_endpoint: endpoint }: oauth.AuthorizationServer,
  provider: URL,
  query: Readonly<Record<string, string>>,
): string {
  const url = endpoint !== undefined && URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== provider.protocol)) {
    throw new CommandFailure(`${provider.origin} publishes no authorization endpoint that is https`);
  }
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

/** The provider's own words for its own refusals; else what was expected, never what came. */
function failureOf(error: unknown, { origin }: URL): unknown {
  if (error instanceof CommandFailure) return error;
  if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
    const description = error.error_description === undefined ? '' : `: ${error.error_description}`;
    return new CommandFailure(`${origin} refused: ${plain(`${error.error}${description}`)}`);
  }
  if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError) {
    return new CommandFailure(`what ${origin} answered was not accepted: ${plain(error.message)}`);
  }
  if (error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError')) {
    return new CommandFailure(`${origin} cannot be reached`);
  }
  return error;
}
