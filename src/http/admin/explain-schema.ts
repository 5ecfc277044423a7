/** The question and the answer of `/admin/v1/explain` as JSON, and where their names change case. */
import { z } from 'zod';
import type { Credential } from '../../core/credential.ts';
import { actorsOf } from '../../core/delegation.ts';
import type { Explanation, Given, Question } from '../../core/explain.ts';
import { findUnsafe, type JsonObject } from '../../core/json.ts';
import { Secret } from '../../core/secret.ts';
import type { Supposed } from '../../core/supposed.ts';
import { tokenFormats } from '../../core/token-format.ts';
import { readPemCertificates } from '../pem-certificates.ts';
import { checkSchema } from './audit-event-schema.ts';
import { AdminProblem } from './problem.ts';

const claimsSchema = z.record(z.string(), z.unknown());
const maxScopeLength = 32 * 1024;

const partyFields = {
  issuer: z.string().min(1).max(253).optional(),
  spiffe_id: z.string().min(1).max(2048).optional(),
  claims: claimsSchema
    .refine((claims) => findUnsafe(claims) === undefined, { message: 'hold more than 16 levels' })
    .optional(),
};
type PartyBody = z.infer<z.ZodObject<typeof partyFields>>;
const isOneParty = ({ issuer, spiffe_id: spiffeId, claims }: PartyBody) =>
  (issuer === undefined) !== (spiffeId === undefined) && (issuer === undefined || claims !== undefined);
const partySentence = { message: 'give either spiffe_id, or issuer and claims' };

export const questionSchema = z
  .strictObject({
    credential: z
      .string()
      .min(1)
      .optional()
      .describe('A platform token, a JWT-SVID, or an X.509-SVID as PEM, leaf first. Needs `audit:read` too.'),
    lane: z
      .enum(['client_assertion', 'assertion', 'subject_token', 'bearer'])
      .optional()
      .describe('How the credential would come in; by default as a `subject_token`.'),
    issuer: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe('The Issuer document that `claims` are supposed of.'),
    spiffe_id: z.string().min(1).max(2048).optional().describe('The identity that is supposed.'),
    claims: claimsSchema
      .refine((claims) => findUnsafe(claims) === undefined, { message: 'hold more than 16 levels' })
      .optional()
      .describe('`iss`, `aud`, `iat`, `exp` and `jti` are filled in where they are left out.'),
    subject: z
      .strictObject({ ...partyFields, scope: z.string().max(maxScopeLength).optional() })
      .refine(isOneParty, partySentence)
      .optional()
      .describe(
        'Whose subject token the caller has; with `scope`, one that Mintmark minted with that scope.',
      ),
    actor: z
      .strictObject(partyFields)
      .refine(isOneParty, partySentence)
      .optional()
      .describe('Whose actor token it has besides.'),
    request: z.strictObject({
      audience: z.string().min(1).max(2048).optional(),
      scope: z.string().max(maxScopeLength).optional(),
      additional_claims: claimsSchema.optional().describe('Claims that the token shall carry besides.'),
      token_format: z.enum(tokenFormats).optional().describe('By default an access token.'),
      proof: z.enum(['dpop', 'mtls']).optional().describe('What the caller is supposed to show besides.'),
    }),
    at: z.iso.datetime({ offset: true }).optional().describe('The time to decide at; by default now.'),
  })
  .refine(
    ({ credential, issuer, spiffe_id: spiffeId }) =>
      [credential, issuer, spiffeId].filter((value) => value !== undefined).length === 1,
    { message: 'give exactly one of credential, issuer and spiffe_id' },
  )
  .refine(({ issuer, claims }) => issuer === undefined || claims !== undefined, {
    message: 'an issuer needs claims beside it',
  })
  .refine(({ credential, claims }) => credential === undefined || claims === undefined, {
    message: 'a credential has claims of its own',
  })
  .refine(({ credential, lane }) => lane === undefined || credential !== undefined, {
    message: 'a lane is for a credential',
  })
  .refine(({ subject, actor }) => actor === undefined || subject !== undefined, {
    message: 'an actor acts for a subject: give that too',
  })
  .meta({ id: 'Question' });

export const explanationSchema = z
  .object({
    outcome: z
      .enum(['permitted', 'refused', 'unchecked'])
      .describe('What an exchange would say; `unchecked` where only an exchange can tell.'),
    reason: z.string().optional().describe('Why it would be refused, as in `policy.no_grant`.'),
    detail: z.string().optional().describe('What was expected and what was found.'),
    at: z.iso.datetime(),
    policy_revision: z.int(),
    identity: z
      .object({
        spiffe_id: z.string(),
        credential_kind: z.string(),
        issuer: z.string().optional(),
        trust_domain: z.string().optional(),
        claims: claimsSchema.describe('Those that the audit keeps.'),
        one_time: z
          .boolean()
          .describe('Whether it is good for one use; whether it was used is not looked at.'),
      })
      .optional()
      .describe('Absent where the credential or the claims are refused.'),
    resource: z.string().optional(),
    audience: z.string().optional(),
    subject: z.string().optional().describe('Whom the token would be about.'),
    actors: z.array(z.string()).optional().describe('Whom it would name as acting, the last first.'),
    scopes: z.array(z.string()).optional(),
    lifetime_seconds: z.int().optional(),
    added_claims: claimsSchema
      .optional()
      .describe('What the grants add to the token; of a credential, `checks` names them and no more.'),
    grants: z
      .array(z.object({ grant: z.string(), contributes: z.boolean(), failed: checkSchema.optional() }))
      .describe(
        'Each grant that covers the identity, and the first thing that failed; where there is none, the nearest grants on the resource.',
      ),
    checks: z
      .array(checkSchema)
      .describe('What was looked at, in order, as the audit keeps it of an exchange.'),
  })
  .meta({ id: 'Explanation' });

type QuestionBody = z.infer<typeof questionSchema>; // from JSON text, so what `unknown` stands for is JSON

export function readQuestion(body: QuestionBody): Question {
  const {
    audience,
    scope,
    additional_claims: additionalClaims,
    token_format: tokenFormat,
    proof,
  } = body.request;
  const { subject, actor } = body;
  return {
    given: readGiven(body),
    subject: subject && { given: readSupposed(subject), scope: subject.scope },
    actor: actor && readSupposed(actor),
    audience,
    scope,
    additionalClaims: additionalClaims as JsonObject | undefined,
    tokenFormat,
    proof,
  };
}

function readSupposed({ issuer, spiffe_id: spiffeId, claims }: PartyBody): Supposed {
  return issuer === undefined
    ? { spiffeId: spiffeId ?? '', claims: claims as JsonObject | undefined }
    : { issuer, claims: claims as JsonObject };
}

function readGiven({ credential, lane, issuer, spiffe_id: spiffeId, claims }: QuestionBody): Given {
  if (credential?.startsWith('-----BEGIN')) return { credential: readChain(credential, lane) };
  if (credential !== undefined) {
    const token = new Secret(credential);
    return { credential: { lane: lane ?? 'subject_token', token, declaredType: 'any' } };
  }
  return readSupposed({ issuer, spiffe_id: spiffeId, claims });
}

function readChain(pem: string, lane: QuestionBody['lane']): Credential {
  const chain = readPemCertificates(pem);
  if (chain === undefined || lane !== undefined) {
    throw new AdminProblem('malformed-request', {
      detail: 'credential: PEM must be certificates alone, leaf first, and has no lane',
    });
  }
  return { lane: 'client_certificate', token: new Secret(pem), chain, declaredType: 'any' };
}

/** A proven credential's claims are shown no further than the audit would keep them. */
export function explanationBody(
  { outcome, reason, detail, identity, decision, grants }: Explanation,
  { given }: Question,
  policyRevision: number,
  nowMillis: number,
): z.infer<typeof explanationSchema> {
  return {
    outcome,
    reason,
    detail,
    at: new Date(nowMillis).toISOString(),
    policy_revision: policyRevision,
    identity: identity && {
      spiffe_id: identity.spiffeId,
      credential_kind: identity.credentialKind,
      issuer: identity.issuer,
      trust_domain: identity.trustDomain,
      claims: identity.auditClaims,
      one_time: identity.onceKey !== undefined,
    },
    resource: decision?.resource?.name,
    audience: decision?.resource?.audience,
    ...(decision?.permit
      ? {
          subject: decision.subject,
          actors: [...actorsOf(decision.act)],
          scopes: [...decision.scopes],
          lifetime_seconds: decision.lifetimeSeconds,
          ...('credential' in given ? {} : { added_claims: decision.claims }),
        }
      : {}),
    grants: [...grants],
    checks: [...(decision?.checks ?? [])],
  };
}
