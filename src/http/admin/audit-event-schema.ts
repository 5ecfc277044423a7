/** The audit event as the REST API shows it, and the one place where its names change case. */
import { z } from 'zod';
import type { AuditEvent } from '../../core/audit.ts';
import { requestedFormats } from '../../core/token-format.ts';

const lanes = ['client_assertion', 'assertion', 'subject_token', 'bearer', 'client_certificate'] as const;

export const checkSchema = z.object({
  check: z.string(),
  grant: z.string().optional(),
  ok: z.boolean(),
  expected: z.string().optional(),
  actual: z.string().optional(),
});

export const auditEventSchema = z
  .object({
    request_id: z.string(),
    at: z.iso.datetime(),
    outcome: z.enum(['permitted', 'refused', 'failed']),
    action: z.string().describe('`token.exchange`, or what an admin did, as in `admin.policy.replace`.'),
    remote_address: z.string(),
    lane: z.enum(lanes).optional().describe('How the credential came in.'),
    credential_kind: z.string().optional(),
    credential_hash: z.string().optional().describe('SHA-256 of the credential, base64url.'),
    client_assertion_hash: z.string().optional().describe('SHA-256 of the client assertion besides it.'),
    actor_token_hash: z.string().optional().describe('SHA-256 of the actor token besides it.'),
    issuer: z.string().optional().describe('The Issuer document that vouched for the caller.'),
    trust_domain: z.string().optional(),
    identity: z
      .string()
      .optional()
      .describe('The SPIFFE ID that was proven: the client’s, where the request has one.'),
    subject: z
      .string()
      .optional()
      .describe('Whom the token was to be about, where its client did not simply ask for itself.'),
    actors: z.array(z.string()).optional().describe('Whom the token names as acting, the last first.'),
    claims: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('The verified claims that the audit keeps.'),
    audience: z.string().optional(),
    resource: z.string().optional(),
    requested_scopes: z.array(z.string()).optional(),
    requested_format: z.enum(requestedFormats).optional().describe('Where the caller said which.'),
    requested_claims: z.array(z.string()).optional().describe('Their names; values are never kept.'),
    proof: z.enum(['dpop', 'mtls']).optional().describe('What the caller showed to bind a token to.'),
    scopes: z.array(z.string()).optional(),
    grants: z.array(z.string()).optional(),
    reason: z.string().optional().describe('Why it was refused, as in `credential.expired`.'),
    detail: z.string().optional(),
    error_code: z.string().optional().describe('What the caller was told.'),
    checks: z.array(checkSchema).optional().describe('What was looked at, in order.'),
    policy_revision: z.int().optional(),
    jti: z.string().optional(),
    token_hash: z.string().optional().describe('SHA-256 of the token minted, base64url.'),
    token_expires_at: z.iso.datetime().optional(),
    kid: z.string().optional(),
    reused: z
      .literal(true)
      .optional()
      .describe('Present where the token was minted for an earlier exchange.'),
    cnf: z
      .object({ jkt: z.string().optional(), 'x5t#S256': z.string().optional() })
      .optional()
      .describe('What the token is bound to: the thumbprint of a DPoP key, or of a certificate.'),
    actor: z.string().optional(),
    summary: z.string().optional(),
    checkpoint: z.string().optional().describe('Of `audit.checkpoint`: the heads of the chains, signed.'),
  })
  .meta({
    id: 'AuditEvent',
    description: 'One attempt: who asked for what, what was decided and why.',
    examples: [
      {
        request_id: '01a20c23-ceb8-7e72-85e7-0faea66e54ce',
        at: '2026-11-24T06:00:00.000Z',
        outcome: 'refused',
        action: 'token.exchange',
        remote_address: '192.0.2.1',
        identity: 'spiffe://prod.example/orders',
        audience: 'https://inventory.internal.example',
        reason: 'policy.no_grant',
        error_code: 'invalid_target',
      },
    ],
  });

export type AuditEventBody = z.infer<typeof auditEventSchema>;

const bodyNames = {
  requestId: 'request_id',
  at: 'at',
  outcome: 'outcome',
  action: 'action',
  remoteAddress: 'remote_address',
  lane: 'lane',
  credentialKind: 'credential_kind',
  credentialHash: 'credential_hash',
  clientAssertionHash: 'client_assertion_hash',
  actorTokenHash: 'actor_token_hash',
  issuer: 'issuer',
  trustDomain: 'trust_domain',
  identity: 'identity',
  subject: 'subject',
  actors: 'actors',
  claims: 'claims',
  audience: 'audience',
  resource: 'resource',
  requestedScopes: 'requested_scopes',
  requestedFormat: 'requested_format',
  requestedClaims: 'requested_claims',
  proof: 'proof',
  scopes: 'scopes',
  grants: 'grants',
  reason: 'reason',
  detail: 'detail',
  errorCode: 'error_code',
  checks: 'checks',
  policyRevision: 'policy_revision',
  jti: 'jti',
  tokenHash: 'token_hash',
  tokenExpiresAt: 'token_expires_at',
  kid: 'kid',
  reused: 'reused',
  cnf: 'cnf',
  actor: 'actor',
  summary: 'summary',
  checkpoint: 'checkpoint',
} as const satisfies Record<keyof AuditEvent, keyof AuditEventBody>;

/** The event under its wire names, its times as RFC 3339. Throws a ZodError for an event that the schema does not know. */
export function auditEventBody(event: AuditEvent): AuditEventBody {
  const { tokenExpiresAt } = event;
  const times = {
    at: new Date(event.at).toISOString(),
    ...(tokenExpiresAt === undefined
      ? {}
      : { token_expires_at: new Date(tokenExpiresAt * 1000).toISOString() }),
  };
  const named = Object.entries(event)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [bodyNames[name as keyof AuditEvent] ?? name, value]);
  return auditEventSchema.parse({ ...Object.fromEntries(named), ...times });
}
