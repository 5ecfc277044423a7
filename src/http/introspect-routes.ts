/** `POST /oauth/introspect` (RFC 7662), its answer signed where that is asked for (RFC 9701). */
import type { FastifyPluginAsync } from 'fastify';
import { paths } from '../core/discovery.ts';
import { refuse } from '../core/error.ts';
import { Secret } from '../core/secret.ts';
import type { HttpDependencies } from './dependencies.ts';
import { formRoute, onlyValue } from './form-route.ts';
import { sendRefusal } from './oauth-reply.ts';
import { remoteAddressOf } from './remote-address.ts';
import { readShownToken } from './shown-token.ts';

const signedType = 'application/token-introspection+jwt';

export const introspectRoutes: FastifyPluginAsync<HttpDependencies> = async (
  app,
  { clock, dpopNonce, introspect, presentedCertificate, settings },
) => {
  await formRoute(app, paths.introspect, async (request, reply, readForm) => {
    if (request.headers.dpop !== undefined) reply.header('dpop-nonce', dpopNonce(clock.now()));
    try {
      const answer = await introspect({
        requestId: request.id,
        remoteAddress: remoteAddressOf(request),
        read: () => {
          const certificate = () => presentedCertificate(request);
          return {
            shown: readShownToken(request, settings.issuer, certificate) ?? refuse('token.missing'),
            token: new Secret(onlyValue(readForm(), 'token')),
            isSigned: asksForSigned(request.headers.accept),
          };
        },
      });
      reply.header('cache-control', 'no-store').header('pragma', 'no-cache');
      return 'jwt' in answer
        ? reply.type(signedType).send(answer.jwt)
        : reply.type('application/json; charset=utf-8').send(JSON.stringify(answer));
    } catch (error) {
      return sendRefusal(request, reply, error, settings.issuer);
    }
  });
};

/** RFC 9701 §4. Whoever names the type wants it; one that is named with the weight 0 is not (RFC 9110 §12.4.2). */
function asksForSigned(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return type === signedType && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}
