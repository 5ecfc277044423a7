/** The two ways to ask for a token: `POST /oauth/token` and `POST /api/v1/token`. Both end in the same exchange. */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { paths, tokenEndpointOf } from '../core/discovery.ts';
import type { TokenRequest } from '../core/request.ts';
import { readAgentlessRequest } from './agentless-request.ts';
import type { HttpDependencies } from './dependencies.ts';
import { formRoute, unreadable } from './form-route.ts';
import { presentedChain } from './forwarded-certificate.ts';
import { sendRefusal, sendToken } from './oauth-reply.ts';
import { requirePlainRequest } from './plain-request.ts';
import { remoteAddressOf } from './remote-address.ts';
import { readRequestProof } from './request-proof.ts';
import { readTokenForm } from './token-form.ts';

export const tokenRoutes: FastifyPluginAsync<HttpDependencies> = async (app, dependencies) => {
  const { clock, dpopNonce, exchange, settings } = dependencies;
  /** Runs one attempt, whether or not its request can be read: the exchange records either. */
  const answer = async (request: FastifyRequest, reply: FastifyReply, read: () => TokenRequest) => {
    let isTokenExchange = false;
    const remember = () => {
      const asked = read();
      isTokenExchange = asked.isTokenExchange;
      return asked;
    };
    // With each answer to a proof, so that a client never has to ask for one twice (RFC 9449 §8.2).
    if (request.headers.dpop !== undefined) reply.header('dpop-nonce', dpopNonce(clock.now()));
    try {
      const token = await exchange({
        requestId: request.id,
        remoteAddress: remoteAddressOf(request),
        traceParent: request.headers.traceparent?.toString(),
        read: remember,
      });
      return sendToken(reply, token, { isTokenExchange });
    } catch (error) {
      return sendRefusal(request, reply, error, settings.issuer);
    }
  };

  await formRoute(app, paths.token, (request, reply, readForm) =>
    answer(request, reply, () => {
      const form = readForm();
      const chain = presentedChain(request, settings);
      const asked = readTokenForm(form, request.headers.authorization, chain);
      return { ...asked, proof: readRequestProof(request, tokenEndpointOf(settings.issuer), chain) };
    }),
  );

  await app.register(async (json) => {
    json.setErrorHandler((error, request, reply) =>
      answer(request, reply, () => {
        throw unreadable(error);
      }),
    );
    json.post(paths.agentlessToken, (request, reply) =>
      answer(request, reply, () => {
        requirePlainRequest(request);
        const asked = readAgentlessRequest(request.headers.authorization, request.body);
        const url = `${settings.issuer}${paths.agentlessToken}`;
        return { ...asked, proof: readRequestProof(request, url, presentedChain(request, settings)) };
      }),
    );
  });
};
