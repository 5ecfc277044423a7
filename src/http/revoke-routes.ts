/** `POST /oauth/revoke` (RFC 7009): a client ends tokens of its own, an admin any. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { grantTypes, paths } from '../core/discovery.ts';
import { refuse } from '../core/error.ts';
import type { RevokeRequest } from '../core/revoke.ts';
import { Secret } from '../core/secret.ts';
import type { HttpDependencies } from './dependencies.ts';
import { formRoute, onlyValue } from './form-route.ts';
import { presentedChain } from './forwarded-certificate.ts';
import { sendRefusal } from './oauth-reply.ts';
import { remoteAddressOf } from './remote-address.ts';
import { readShownToken } from './shown-token.ts';
import { readTokenForm } from './token-form.ts';

export const revokeRoutes: FastifyPluginAsync<HttpDependencies> = async (
  app,
  { clock, dpopNonce, presentedCertificate, revoke, settings },
) => {
  /** A client shows what it shows at the token endpoint (§2.1), whose reader reads it. */
  function readCaller(request: FastifyRequest, form: URLSearchParams): RevokeRequest['caller'] {
    const { authorization } = request.headers;
    const shown = readShownToken(request, settings.issuer, () => presentedCertificate(request));
    const client = new URLSearchParams({ grant_type: grantTypes.clientCredentials });
    for (const name of ['client_id', 'client_secret', 'client_assertion', 'client_assertion_type']) {
      for (const value of form.getAll(name)) client.append(name, value);
    }
    if (shown !== undefined) {
      if (client.has('client_assertion') || client.has('client_secret')) {
        refuse('request.two_client_authentications');
      }
      return { shown };
    }
    return { client: readTokenForm(client, authorization, presentedChain(request, settings)) };
  }

  await formRoute(app, paths.revoke, async (request, reply, readForm) => {
    if (request.headers.dpop !== undefined) reply.header('dpop-nonce', dpopNonce(clock.now()));
    try {
      await revoke({
        requestId: request.id,
        remoteAddress: remoteAddressOf(request),
        read: () => {
          const form = readForm();
          return { caller: readCaller(request, form), token: new Secret(onlyValue(form, 'token')) };
        },
      });
      return reply.code(200).header('cache-control', 'no-store').send();
    } catch (error) {
      return sendRefusal(request, reply, error, settings.issuer);
    }
  });
};
