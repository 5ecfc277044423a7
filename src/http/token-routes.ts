/** The two ways to ask for a token: `POST /oauth/token` and `POST /api/v1/token`. Both end in the same exchange. */
import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { paths } from '../core/discovery.ts';
import { OAuthError, type Reason, refuse } from '../core/error.ts';
import type { TokenRequest } from '../core/request.ts';
import { readAgentlessRequest } from './agentless-request.ts';
import type { HttpDependencies } from './dependencies.ts';
import { presentedChain } from './forwarded-certificate.ts';
import { sendRefusal, sendToken } from './oauth-reply.ts';
import { requirePlainRequest } from './plain-request.ts';
import { remoteAddressOf } from './remote-address.ts';
import { parseForm, readTokenForm } from './token-form.ts';

export const bodyLimitBytes = 64 * 1024;

export const tokenRoutes: FastifyPluginAsync<HttpDependencies> = async (app, { exchange, settings }) => {
  /** Runs one attempt, whether or not its request can be read: the exchange records either. */
  const answer = async (request: FastifyRequest, reply: FastifyReply, read: () => TokenRequest) => {
    let isTokenExchange = false;
    const remember = () => {
      const asked = read();
      isTokenExchange = asked.isTokenExchange;
      return asked;
    };
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

  const recordUnreadable = (scope: FastifyInstance) =>
    scope.setErrorHandler((error, request, reply) =>
      answer(request, reply, () => {
        throw unreadable(error);
      }),
    );

  await app.register(async (form) => {
    form.removeAllContentTypeParsers();
    await form.register(formbody, {
      bodyLimit: bodyLimitBytes,
      parser: (text) => ({ form: text }), // read by the exchange, which records what is refused of it
    });
    recordUnreadable(form);
    form.post<{ Body: { form: string } | undefined }>(paths.token, (request, reply) =>
      answer(request, reply, () => {
        requirePlainRequest(request);
        const { form: text } = request.body ?? refuse('request.content_type');
        return readTokenForm(
          parseForm(text),
          request.headers.authorization,
          presentedChain(request, settings),
        );
      }),
    );
  });

  await app.register(async (json) => {
    recordUnreadable(json);
    json.post(paths.agentlessToken, (request, reply) =>
      answer(request, reply, () => {
        requirePlainRequest(request);
        return readAgentlessRequest(request.headers.authorization, request.body);
      }),
    );
  });
};

const reasonByStatus: Readonly<Record<number, Reason>> = {
  400: 'request.malformed',
  408: 'request.timeout',
  413: 'request.too_large',
  415: 'request.content_type',
};

/** What Fastify refused before a handler ran, in our words; anything else is our own fault. */
function unreadable(error: unknown): OAuthError {
  // Node has ended the connection: by `requestTimeout`, or because the caller went away.
  if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') {
    return new OAuthError('request.timeout', { cause: error });
  }
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  const reason = reasonByStatus[status] ?? 'server.unexpected';
  return new OAuthError(reason, { cause: error });
}
