/** Reads `POST /api/v1/token`: the platform token in `Authorization`, the rest as JSON (SPIRE issue #986). */
import { z } from 'zod';
import { readAdditionalClaims } from '../core/additional-claims.ts';
import { refuse } from '../core/error.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import type { TokenRequest } from '../core/request.ts';
import { maxScopes, parseScope } from '../core/scope.ts';
import { Secret } from '../core/secret.ts';
import type { TokenFormat } from '../core/token-format.ts';

export const agentlessBodySchema = z.strictObject({
  audience: z.string().min(1).max(2048).optional(),
  scope: z.union([z.string(), z.array(z.string())]).optional(),
  additional_claims: z.record(z.string(), z.unknown()).optional(),
  token_type: z.enum(['access_token', 'jwt-svid'] satisfies TokenFormat[]).optional(),
});

/** Throws an `OAuthError` with a `request.*` reason for what cannot be read. */
export function readAgentlessRequest(authorization: string | undefined, body: unknown): TokenRequest {
  refuseLongScope(body);
  const parsed = agentlessBodySchema.safeParse(body ?? {});
  if (!parsed.success) {
    const isUnknownKey = parsed.error.issues.some((issue) => issue.code === 'unrecognized_keys');
    return refuse(isUnknownKey ? 'request.unknown_parameter' : 'request.malformed');
  }
  const { audience, scope, additional_claims: claims, token_type: tokenType } = parsed.data;
  return {
    credential: { lane: 'bearer', token: readPlatformToken(authorization), declaredType: 'any' },
    clientAssertion: undefined,
    clientId: undefined,
    audience,
    scopes: parseScope(Array.isArray(scope) ? scope.join(' ') : scope),
    additionalClaims: claims && readAdditionalClaims(claims as JsonObject), // what was read is JSON
    requestedFormat: tokenType,
    isTokenExchange: false,
  };
}

/** Before the schema looks at it: zod describes each wrong entry, and a stranger must not buy so much work with one request. */
function refuseLongScope(body: unknown): void {
  if (!isJsonObject(body) || !Array.isArray(body.scope) || body.scope.length <= maxScopes) return;
  refuse('request.scope_malformed', `more than ${maxScopes} scopes`);
}

/** `Bearer <token>` (RFC 6750 §2.1), or the bare token that #986 asked for. */
function readPlatformToken(authorization: string | undefined): Secret<string> {
  const token = /^(?:bearer +)?(?!bearer$)(\S+)$/i.exec(authorization?.trim() ?? '')?.[1];
  return new Secret(token ?? refuse('request.credential_missing'));
}
