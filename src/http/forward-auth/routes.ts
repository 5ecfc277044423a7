/** `/forward-auth`: nginx's auth_request, Traefik's ForwardAuth and Envoy's ext_authz ask here before each request that they let pass. */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { OAuthError, type Reason } from '../../core/error.ts';
import type { PassRequest } from '../../core/forward-auth.ts';
import { guardedResource } from '../../core/policy/guarded-resource.ts';
import { Secret } from '../../core/secret.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { type CertificateSources, presentedChain } from '../forwarded-certificate.ts';
import { remoteAddressOf } from '../remote-address.ts';
import { refusedPass } from './challenge.ts';
import { readShownProof } from './original-request.ts';
import { passportHeaders } from './passport-headers.ts';
import { readTarget } from './target.ts';

type ForwardAuthDependencies = Pick<HttpDependencies, 'clock' | 'forwardAuth' | 'forwardAuthCap'> & {
  readonly policyBook: Pick<HttpDependencies['policyBook'], 'current'>;
  readonly settings: CertificateSources;
  readonly metrics: Pick<HttpDependencies['metrics'], 'countForwardAuth'>;
};

/** Never anything but 200, 401 and 403, whatever happens: to a proxy every other status is a broken server, not a no. */
export const forwardAuthRoutes: FastifyPluginAsync<ForwardAuthDependencies> = async (app, dependencies) => {
  const { clock, forwardAuth, forwardAuthCap, metrics, policyBook, settings } = dependencies;

  /** An `onRequest` hook, so that no body is ever read, and no method or content type matters. */
  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    try {
      const { resourceName, scopes, rest } = readTarget(request.originalUrl);
      const passport = await forwardAuth(
        {
          resourceName,
          scopes,
          token: readToken(request.headers.authorization),
          readProof: () => readShownProof(request, rest, settings),
          readChain: () => presentedChain(request, settings),
        },
        policyBook.current(),
        clock.now(),
      );
      metrics.countForwardAuth(resourceName, undefined);
      return send(reply.code(200).headers(passportHeaders(passport)), '');
    } catch (error) {
      return refuse(request, reply, OAuthError.from(error));
    }
  };

  /** Of a refused request, as far as its path can be read; never throws. */
  const askedFor = ({ originalUrl }: FastifyRequest) => {
    try {
      const { resourceName, scopes } = readTarget(originalUrl);
      return { resource: guardedResource(policyBook.current(), resourceName), scopes };
    } catch {
      return { resource: undefined, scopes: [] };
    }
  };

  const refuse = async (request: FastifyRequest, reply: FastifyReply, refusal: OAuthError) => {
    const { resource, scopes } = askedFor(request);
    const { status, error, challenge } = refusedPass(refusal, {
      resource,
      scopes,
      isDpop: readToken(request.headers.authorization)?.scheme === 'DPoP',
    });
    metrics.countForwardAuth(resource?.name, refusal);
    const isLogged = await forwardAuthCap(remoteAddressOf(request));
    const level = refusal.isOurFault ? 'error' : isLogged ? 'info' : 'debug';
    const { reason, detail } = refusal;
    const cause = refusal.isOurFault ? { err: refusal } : {};
    request.log[level]({ reason, detail, resource: resource?.name, ...cause }, 'forward auth refused');
    if (challenge !== undefined) reply.header('www-authenticate', challenge);
    reply.code(status).headers(passportHeaders(undefined)).type('application/json; charset=utf-8');
    return send(reply, JSON.stringify({ error, request_id: request.id }));
  };

  app.addHook('onRequest', answer);
  app.setErrorHandler((error, request, reply) => refuse(request, reply, fromFramework(error)));
  // The hook answers first. The route stands for all methods in the OpenAPI document, and other methods end as not found.
  app.get('/:resource/:scopes', { exposeHeadRoute: false }, (request, reply) => answer(request, reply));
  app.setNotFoundHandler((request, reply) => answer(request, reply));
};

/** RFC 6750 §2.1, RFC 9449 §7.1. Undefined for another scheme, which is the service's own affair. */
function readToken(authorization = ''): PassRequest['token'] {
  const [word = '', ...rest] = authorization.split(' ');
  const scheme = (['Bearer', 'DPoP'] as const).find((name) => name.toLowerCase() === word.toLowerCase());
  return scheme && { scheme, value: new Secret(rest.join(' ').trim()) };
}

const reasonByStatus: Readonly<Record<number, Reason>> = { 400: 'request.malformed' };

/** Headers that came twice are refused for every route, before the hook here. */
function fromFramework(error: unknown): OAuthError {
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  return new OAuthError(reasonByStatus[status] ?? 'server.unexpected', { cause: error });
}

function send(reply: FastifyReply, body: string): FastifyReply {
  return reply.header('cache-control', 'no-store').send(body);
}
