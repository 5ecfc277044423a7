/** How an exchange's outcome looks on the wire: RFC 6749 §5.1 and §5.2, RFC 8693 §2.2. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { signingAlgorithms } from '../core/algorithm.ts';
import { OAuthError } from '../core/error.ts';
import type { MintedToken } from '../core/token.ts';
import { accessTokenType, jwtTokenType } from './token-form.ts';

const retryAfterSeconds = 1;
const rateLimitedRetrySeconds = 60;

export function sendToken(reply: FastifyReply, token: MintedToken, options: { isTokenExchange: boolean }) {
  const isJwt = token.tokenType === 'N_A'; // what is no access token says what it is
  return send(reply, 200, {
    access_token: token.accessToken.reveal(),
    ...(options.isTokenExchange || isJwt
      ? { issued_token_type: isJwt ? jwtTokenType : accessTokenType }
      : {}),
    token_type: token.tokenType,
    expires_in: token.lifetimeSeconds,
    ...(token.scopes.length === 0 ? {} : { scope: token.scopes.join(' ') }),
  });
}

/** Only the code, its fixed sentence and the request's id leave; the reason stays with the operator's log and audit. */
export function sendRefusal(request: FastifyRequest, reply: FastifyReply, error: unknown, issuer: string) {
  const refusal = OAuthError.from(error);
  const status = statusOf(refusal, request);
  // Past the cap a stranger writes no event, and no line of an ordinary log either.
  const level = status >= 500 ? 'error' : status === 429 ? 'debug' : 'info';
  request.log[level](
    {
      reason: refusal.reason,
      detail: refusal.detail,
      ...(status >= 500 ? { causes: causesOf(refusal) } : {}),
    },
    'token request refused',
  );
  const challenge = status === 401 ? challengeFor(refusal, request) : undefined;
  if (challenge !== undefined) reply.header('www-authenticate', challenge);
  if (status === 429) reply.header('retry-after', rateLimitedRetrySeconds);
  if (status === 503) reply.header('retry-after', retryAfterSeconds);
  return send(reply, status, {
    error: refusal.code,
    error_description: refusal.sentence,
    error_uri: `${issuer}/docs#${refusal.code}`,
    request_id: request.id,
  });
}

function statusOf(refusal: OAuthError, request: FastifyRequest): number {
  if (refusal.reason === 'request.too_large') return 413;
  if (refusal.reason === 'request.timeout') return 408;
  if (refusal.reason === 'server.rate_limited') return 429;
  switch (refusal.code) {
    case 'invalid_client':
    case 'invalid_token':
      return 401;
    case 'invalid_dpop_proof':
    case 'use_dpop_nonce':
      return hasDpopToken(request) ? 401 : 400; // RFC 9449 §7.1 and §9 where a token came, §5 and §8 where one is asked for
    case 'server_error':
      return 500;
    case 'temporarily_unavailable':
      return 503;
    default:
      return 400;
  }
}

/**
 * RFC 6749 §5.2 wants the scheme that the client tried, and no challenge where it tried none: oauth4webapi and
 * openid-client would report the challenge in place of the error. RFC 6750 §3.1 names the error only where a token came.
 */
function challengeFor(refusal: OAuthError, request: FastifyRequest): string | undefined {
  if (hasDpopToken(request) && refusal.code !== 'invalid_client') {
    return `DPoP error="${refusal.code}", algs="${signingAlgorithms.join(' ')}"`;
  }
  if (refusal.code === 'invalid_token') {
    const isMissing = ['request.credential_missing', 'token.missing'].includes(refusal.reason);
    return isMissing ? 'Bearer' : 'Bearer error="invalid_token"';
  }
  const { authorization } = request.headers;
  if (authorization === undefined) return undefined;
  return /^basic /i.test(authorization) ? 'Basic realm="mintmark"' : 'Bearer';
}

function hasDpopToken({ headers }: FastifyRequest): boolean {
  return /^dpop /i.test(headers.authorization ?? '');
}

/** The messages of an error and what caused it, for the log alone. */
function causesOf(error: Error): string[] {
  const messages: string[] = [];
  for (let cause: unknown = error; cause instanceof Error && messages.length < 8; cause = cause.cause) {
    messages.push(`${cause.name}: ${cause.message}`);
  }
  return messages;
}

function send(reply: FastifyReply, status: number, body: object) {
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .header('pragma', 'no-cache')
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(body));
}
