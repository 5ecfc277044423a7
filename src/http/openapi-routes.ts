/** What the OpenAPI document says of routes that read their own body or send a fixed document, and so carry no schema. */
import type { FastifySchema } from 'fastify';
import { z } from 'zod';
import { grantTypes, paths } from '../core/discovery.ts';
import { adminMetadataPath } from './admin/metadata.ts';
import { agentlessBodySchema } from './agentless-request.ts';
import { guardedMetadataPath } from './forward-auth/metadata.ts';
import { forwardAuthPrefix } from './forward-auth/target.ts';

const single = z.string().max(65_536);

const additionalClaims =
  'Claims that the token shall carry besides, where a grant allows it; at most 4096 bytes.';

const tokenFormSchema = z
  .object({
    grant_type: z.enum(Object.values(grantTypes)),
    client_assertion_type: z
      .enum([
        'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      ])
      .optional(),
    client_assertion: single.optional().describe('A platform token or JWT-SVID, as client authentication.'),
    assertion: single.optional().describe('For the grant type jwt-bearer (RFC 7523).'),
    subject_token: single.optional().describe('For the grant type token-exchange (RFC 8693).'),
    subject_token_type: z
      .enum([
        ...['jwt', 'id_token', 'access_token', 'jwt_spiffe'].map(
          (n) => `urn:ietf:params:oauth:token-type:${n}`,
        ),
        'urn:ietf:params:aws:token-type:aws4_request',
        'urn:mintmark:token-type:aws-instance-identity',
      ])
      .optional(),
    requested_token_type: z
      .enum(['access_token', 'jwt'].map((n) => `urn:ietf:params:oauth:token-type:${n}`))
      .optional()
      .describe('`…:jwt` asks for a JWT-SVID, where the Resource has that format.'),
    client_id: z
      .string()
      .optional()
      .describe('Where it is sent, it must name the same identity; beside an X.509-SVID it must be sent.'),
    audience: z.string().optional().describe('The one target; or `resource`.'),
    resource: z.url().optional().describe('The one target, as a URI (RFC 8707).'),
    scope: z.string().optional().describe('Space-delimited. Absent: the default scopes of the grants.'),
    additional_claims: z.string().optional().describe(`A JSON object. ${additionalClaims}`),
  })
  .describe('A form; parameters that are not listed are ignored.');

const agentlessSchema = agentlessBodySchema.extend({
  audience: agentlessBodySchema.shape.audience.describe('Absent: the one that the grants name as default.'),
  scope: agentlessBodySchema.shape.scope.describe('Absent: the default scopes of the grants.'),
  additional_claims: agentlessBodySchema.shape.additional_claims.describe(additionalClaims),
});

const tokenSchema = z
  .object({
    access_token: z.string(),
    issued_token_type: z
      .string()
      .optional()
      .describe('Where the grant type is token-exchange, or the token a JWT-SVID.'),
    token_type: z
      .enum(['Bearer', 'DPoP', 'N_A'])
      .describe(
        '`DPoP` where the request held a DPoP proof (RFC 9449), `N_A` for a JWT-SVID (RFC 8693 §2.2.1).',
      ),
    expires_in: z.int().describe('Seconds.'),
    scope: z.string().optional().describe('Absent where the token has no scope.'),
  })
  .meta({ id: 'Token', description: 'RFC 6749 §5.1.' });

const hint = z.string().optional().describe('Ignored: there is one type of token.');
const revokeFormSchema = tokenFormSchema
  .pick({ client_assertion_type: true, client_assertion: true, client_id: true })
  .extend({ token: single, token_type_hint: hint });
const introspectFormSchema = z.object({ token: single, token_type_hint: hint });
const introspectionSchema = z
  .looseObject({
    active: z.boolean(),
    token_type: z.enum(['Bearer', 'DPoP']).optional(),
    ...Object.fromEntries(
      ['iss', 'sub', 'client_id', 'scope', 'jti'].map((name) => [name, z.string().optional()]),
    ),
    aud: z.union([z.string(), z.array(z.string())]).optional(),
    exp: z.int().optional(),
    iat: z.int().optional(),
    cnf: z.record(z.string(), z.string()).optional(),
    act: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Introspection', description: 'RFC 7662 §2.2; what the grants added stands beside.' });

const refusalSchema = z
  .object({
    error: z.string().describe('The code of the RFC, as in `invalid_target`.'),
    error_description: z.string().describe('A fixed sentence; it says nothing of policy or keys.'),
    error_uri: z.string().describe('What to do about it.'),
    request_id: z.string().describe('Opens the whole reason for an admin: `mintmark why REQUEST_ID`.'),
  })
  .meta({ id: 'Refusal', description: 'RFC 6749 §5.2.' });

const passSchema = refusalSchema.pick({ error: true, request_id: true }).meta({ id: 'PassRefusal' });
const documentSchema = z.record(z.string(), z.unknown());
const keysSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string(), alg: z.string(), use: z.string() })),
});
const bundleSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), use: z.string(), kid: z.string().optional() })),
  spiffe_sequence: z.int().describe('Higher after each change of the keys.'),
  spiffe_refresh_hint: z.int().describe('Seconds.'),
});
const readinessSchema = z.object({ status: z.string(), checks: z.record(z.string(), z.string()) });

const json = (description: string, schema: z.ZodType, type = 'application/json') => ({
  description,
  content: { [type]: { schema } },
});
const refusal = (description: string) => json(description, refusalSchema);

const tokenResponses = {
  200: json('A token for exactly one target.', tokenSchema),
  400: refusal('The request, its target or its scope was refused.'),
  401: refusal('The credential was not accepted.'),
  413: refusal('The request is too large.'),
  429: refusal('Too many refused requests from this address; see `Retry-After`.'),
  500: refusal('The request could not be completed.'),
  503: refusal('Overload or a lost dependency; try again after `Retry-After` seconds.'),
};

const { 200: _token, 400: _refused, ...refusedResponses } = tokenResponses;

const discovery = (operationId: string, summary: string, response: object) => ({
  tags: ['discovery'],
  operationId,
  summary,
  response: { 200: response },
});
const operations = (operationId: string, summary: string, response: object) => ({
  tags: ['operations'],
  operationId,
  summary,
  response,
});

/** By method and path. */
export const routeSchemas: Readonly<Record<string, FastifySchema>> = {
  [`POST ${paths.token}`]: {
    tags: ['tokens'],
    operationId: 'exchangeToken',
    summary: 'Exchange a credential for a token, as OAuth clients do',
    description:
      'RFC 6749, 7521, 7523, 8693 and 8707, with SPIFFE client authentication. The query string must be empty.',
    consumes: ['application/x-www-form-urlencoded'],
    body: tokenFormSchema,
    response: tokenResponses,
  },
  [`POST ${paths.agentlessToken}`]: {
    tags: ['tokens'],
    operationId: 'getToken',
    summary: 'Exchange a platform token for a token, with one fetch',
    description: 'The platform token stands in `Authorization`, with or without the scheme `Bearer`.',
    security: [{ platform: [] }],
    body: agentlessSchema,
    response: tokenResponses,
  },
  [`POST ${paths.revoke}`]: {
    tags: ['tokens'],
    operationId: 'revokeToken',
    summary: 'Revoke a token, on every replica (RFC 7009)',
    description:
      'A client authenticates as for a token and ends tokens of its own; an admin token with the scope `tokens:revoke` ends any.',
    security: [{}, { admin: [] }],
    consumes: ['application/x-www-form-urlencoded'],
    body: revokeFormSchema,
    response: {
      200: z.null().describe('The token is good for nothing, or never was.'),
      400: refusal('The request was refused, or the token is of a type that cannot be revoked.'),
      ...refusedResponses,
    },
  },
  [`POST ${paths.introspect}`]: {
    tags: ['tokens'],
    operationId: 'introspectToken',
    summary: 'What a token says, while it is good (RFC 7662)',
    description:
      'For the introspectors that its Resource names, by an access token for this issuer with the scope `tokens:introspect`. Whatever they may not know reads `{"active": false}`.',
    security: [{ introspector: [] }],
    consumes: ['application/x-www-form-urlencoded'],
    body: introspectFormSchema,
    response: {
      200: {
        description: 'What the token says; as a JWT (RFC 9701) where `Accept` names its type.',
        content: {
          'application/json': { schema: introspectionSchema },
          'application/token-introspection+jwt': { schema: z.string() },
        },
      },
      400: refusal('The request was refused.'),
      ...refusedResponses,
    },
  },
  [`GET ${paths.jwks}`]: discovery(
    'getKeys',
    'The public keys of our tokens (RFC 7517)',
    json('A JWK set.', keysSchema, 'application/jwk-set+json'),
  ),
  [`GET ${paths.spiffeBundle}`]: discovery(
    'getSpiffeBundle',
    'The SPIFFE bundle of our own trust domain',
    json('The public keys of our JWT-SVIDs; none while no Resource has them.', bundleSchema),
  ),
  [`GET ${paths.authorizationServer}`]: discovery(
    'getAuthorizationServerMetadata',
    'Authorization server metadata (RFC 8414)',
    json('The metadata.', documentSchema),
  ),
  [`GET ${paths.openidConfiguration}`]: discovery(
    'getOpenidConfiguration',
    'OpenID Connect discovery',
    json('The metadata.', documentSchema),
  ),
  [`GET ${adminMetadataPath}`]: discovery(
    'getAdminMetadata',
    'The admin API as a protected resource (RFC 9728)',
    json('The metadata.', documentSchema),
  ),
  [`GET ${guardedMetadataPath}`]: discovery(
    'getResourceMetadata',
    'A guarded service as a protected resource (RFC 9728), for its proxy to publish at the service’s own host',
    json('The metadata.', documentSchema),
  ),
  [`GET ${forwardAuthPrefix}/:resource/:scopes`]: {
    tags: ['forward-auth'],
    operationId: 'forwardAuth',
    summary: 'May this request pass? For nginx, Traefik and Envoy',
    description:
      'With any method, and with or without scopes, which stand with a `+` between them; what follows in the path is ignored, query and body are never read. Takes a token of ours as `Bearer`, or a client certificate.',
    response: {
      200: z.null().describe('It may: the headers `X-SPIFFE-Id` and `X-Auth-…` say who is calling.'),
      401: json(
        'It may not: without a token, or with one that does not hold; see `WWW-Authenticate`.',
        passSchema,
      ),
      403: json(
        'It may not, whatever its token: a scope is missing, the path names no resource, or we failed.',
        passSchema,
      ),
    },
  },
  'GET /healthz': operations('getHealth', 'Whether the process lives', {
    200: json('It lives.', z.object({ status: z.literal('ok') })),
  }),
  'GET /readyz': operations('getReadiness', 'Whether it can serve, with a reason for each dependency', {
    200: json('It can.', readinessSchema),
    503: json('It cannot.', readinessSchema),
  }),
  'GET /metrics': operations('getMetrics', 'Counts, durations and ages, for Prometheus', {
    200: json('Prometheus text format.', z.string(), 'text/plain'),
  }),
  'GET /openapi.json': operations('getOpenapi', 'This document', {
    200: json('OpenAPI 3.1.', documentSchema),
  }),
  'GET /docs': operations('getDocs', 'This document and the error codes, as a page', {
    200: json('A page.', z.string(), 'text/html'),
  }),
};
