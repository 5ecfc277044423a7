/** Endpoints that read a form: what reaches the core is recorded, readable or not. */
import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { OAuthError, type Reason, refuse } from '../core/error.ts';
import { requirePlainRequest } from './plain-request.ts';
import { parseForm } from './token-form.ts';

export const bodyLimitBytes = 64 * 1024;

type ReadForm = () => URLSearchParams;

/** `answer` is called once a request; `read` throws an `OAuthError` where there is no form that can be read. */
export async function formRoute(
  app: FastifyInstance,
  path: string,
  answer: (request: FastifyRequest, reply: FastifyReply, read: ReadForm) => Promise<FastifyReply>,
): Promise<void> {
  await app.register(async (form) => {
    form.removeAllContentTypeParsers();
    await form.register(formbody, {
      bodyLimit: bodyLimitBytes,
      parser: (text) => ({ form: text }), // read by the core, which records what is refused of it
    });
    form.setErrorHandler((error, request, reply) =>
      answer(request, reply, () => {
        throw unreadable(error);
      }),
    );
    form.post<{ Body: { form: string } | undefined }>(path, (request, reply) =>
      answer(request, reply, () => {
        requirePlainRequest(request);
        const { form: text } = request.body ?? refuse('request.content_type');
        return parseForm(text);
      }),
    );
  });
}

/** A parameter that must be there, once (RFC 6749 §3.2). */
export function onlyValue(form: URLSearchParams, name: string): string {
  const values = form.getAll(name);
  if (values.length > 1) refuse('request.repeated_parameter', name);
  return values[0] || refuse('request.missing_parameter', name);
}

const reasonByStatus: Readonly<Record<number, Reason>> = {
  400: 'request.malformed',
  408: 'request.timeout',
  413: 'request.too_large',
  415: 'request.content_type',
};

/** What Fastify refused before a handler ran, in our words; anything else is our own fault. */
export function unreadable(error: unknown): OAuthError {
  // Node has ended the connection: by `requestTimeout`, or because the caller went away.
  if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') {
    return new OAuthError('request.timeout', { cause: error });
  }
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  const reason = reasonByStatus[status] ?? 'server.unexpected';
  return new OAuthError(reason, { cause: error });
}
