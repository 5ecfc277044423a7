/** Admin errors as RFC 9457 problem documents: one catalogue of stable types, and how every thrown error becomes one. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { OAuthError, type Reason } from '../../core/error.ts';
import { ManagedByFile, PolicyRefused } from '../../core/policy/refused.ts';
import { RevisionConflict } from '../../core/policy-store.ts';

interface ProblemEntry {
  readonly status: number;
  readonly title: string;
  /** What the audit records for it. */
  readonly reason: Reason;
}

const problems = {
  'malformed-request': { status: 400, title: 'The request could not be read', reason: 'request.malformed' },
  unauthorized: { status: 401, title: 'A valid admin token is needed', reason: 'admin.token_refused' },
  'pusher-unauthorized': {
    status: 401,
    title: 'A token of the issuer itself is needed',
    reason: 'admin.token_refused',
  },
  'pusher-not-named': {
    status: 403,
    title: 'The Issuer does not name this identity in keys.pushedBy',
    reason: 'admin.pusher_not_named',
  },
  forbidden: { status: 403, title: 'The admin token lacks a scope', reason: 'admin.scope_missing' },
  'not-found': { status: 404, title: 'There is nothing here', reason: 'admin.not_found' },
  'managed-by-file': {
    status: 409,
    title: 'The document is managed by file',
    reason: 'admin.managed_by_file',
  },
  'document-in-use': {
    status: 409,
    title: 'Other documents refer to this one',
    reason: 'admin.document_in_use',
  },
  'keys-conflict': {
    status: 409,
    title: 'The signing keys have changed meanwhile',
    reason: 'admin.keys_conflict',
  },
  'etag-mismatch': {
    status: 412,
    title: 'The document is not as the precondition says',
    reason: 'admin.revision_conflict',
  },
  'revision-conflict': {
    status: 412,
    title: 'The policy has changed meanwhile',
    reason: 'admin.revision_conflict',
  },
  'payload-too-large': { status: 413, title: 'The body is too large', reason: 'request.too_large' },
  'unsupported-media-type': {
    status: 415,
    title: 'The content type is not supported',
    reason: 'request.content_type',
  },
  'policy-refused': { status: 422, title: 'The policy was refused', reason: 'admin.policy_refused' },
  'too-many-refusals': {
    status: 429,
    title: 'Too many refused requests from this address',
    reason: 'server.rate_limited',
  },
  internal: { status: 500, title: 'The request could not be completed', reason: 'server.unexpected' },
  unavailable: { status: 503, title: 'The service cannot answer right now', reason: 'server.overloaded' },
} as const satisfies Record<string, ProblemEntry>;

export type ProblemSlug = keyof typeof problems;

export const policyProblemSchema = z
  .object({
    document: z.string().describe('Kind and name, as in `Grant/orders`.'),
    field: z.string().describe('As in `spec.scopes[0]`; empty for the document itself.'),
    line: z.int().optional().describe('1-based line of the YAML that was sent.'),
    message: z.string(),
  })
  .meta({ id: 'PolicyProblem', description: 'Where the policy has a mistake, and what to mend.' });

export const problemSchema = z
  .object({
    type: z.string().describe('Stable: `urn:mintmark:problem:<slug>`.'),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    request_id: z.string(),
    problems: z.array(policyProblemSchema).optional().describe('What is wrong with a refused policy.'),
  })
  .meta({ id: 'Problem', description: 'Problem details, RFC 9457.' });

type Problem = z.infer<typeof problemSchema>;

interface ProblemDetails {
  readonly detail?: string;
  readonly reason?: Reason;
  readonly problems?: Problem['problems'];
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is a problem document. `detail` may name documents and fields, never a token. */
export class AdminProblem extends Error {
  override readonly name = 'AdminProblem';
  readonly slug: ProblemSlug;
  readonly reason: Reason;
  readonly details: ProblemDetails;

  constructor(slug: ProblemSlug, details: ProblemDetails = {}, cause?: unknown) {
    super(details.detail ?? problems[slug].title, { cause });
    this.slug = slug;
    this.reason = details.reason ?? problems[slug].reason;
    this.details = details;
  }

  get status(): number {
    return problems[this.slug].status;
  }
}

const retrySoon = { 'retry-after': '1' };
const unrecorded =
  'The audit could not be written, so the answer is withheld. A change may have been made: read it before you try again.';

const unavailableDetails: Partial<Record<Reason, string>> = {
  'server.audit_unavailable': unrecorded,
  'server.revocations_unavailable': 'The revocation could not be made durable, so it was not made.',
  'server.revocations_full':
    'As many are revoked as are kept: revoke the identity or the issuer in place of single ones.',
};

/** What any error of an admin route means to its caller; an unknown one says nothing of itself. */
export function problemOf(error: unknown): AdminProblem {
  if (error instanceof AdminProblem) return error;
  if (error instanceof RevisionConflict) {
    return new AdminProblem(
      'revision-conflict',
      { detail: 'Read the policy again, apply your change to what it says now, and send it again.' },
      error,
    );
  }
  if (error instanceof OAuthError && error.reason === 'admin.keys_conflict') {
    return new AdminProblem(
      'keys-conflict',
      { detail: 'Nothing was changed. List the keys again, and send this again if it is still to be done.' },
      error,
    );
  }
  if (error instanceof ManagedByFile) return new AdminProblem('managed-by-file', { detail: error.message });
  if (error instanceof PolicyRefused) {
    return new AdminProblem(
      'policy-refused',
      {
        detail: 'Nothing was changed. Each entry of `problems` names a document, a field and what to mend.',
        problems: error.problems.map(({ document, field, line, message }) => ({
          document,
          field,
          ...(line === undefined ? {} : { line }),
          message,
        })),
      },
      error,
    );
  }
  if (error instanceof OAuthError && error.code === 'temporarily_unavailable') {
    const details = { reason: error.reason, headers: retrySoon };
    const detail = unavailableDetails[error.reason];
    return new AdminProblem('unavailable', detail === undefined ? details : { ...details, detail }, error);
  }
  return frameworkProblemOf(error);
}

function frameworkProblemOf(error: unknown): AdminProblem {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const detail = error.validation
      .map(({ instancePath, message }) => `${instancePath.slice(1) || 'request'}: ${message}`)
      .join('; ');
    return new AdminProblem('malformed-request', { detail: bounded(detail) });
  }
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) return new AdminProblem('payload-too-large', {}, error);
  if (status === 415) return new AdminProblem('unsupported-media-type', {}, error);
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new AdminProblem('malformed-request', {}, error);
  }
  return new AdminProblem('internal', {}, error);
}

const maxDetailLength = 1024;

/** Names of fields that a body brought along, as no more than a line that any store takes. */
function bounded(detail: string): string {
  return detail
    .slice(0, maxDetailLength)
    .toWellFormed()
    .replace(/\p{Cc}/gu, '\ufffd');
}

/** Writes the problem as the answer to this request. */
export function sendProblem(
  problem: AdminProblem,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { detail, problems: list, headers = {} } = problem.details;
  const body: Problem = {
    type: `urn:mintmark:problem:${problem.slug}`,
    title: problems[problem.slug].title,
    status: problem.status,
    ...(detail === undefined ? {} : { detail }),
    request_id: request.id,
    ...(list === undefined ? {} : { problems: list }),
  };
  return reply
    .removeHeader('etag') // of the answer that this one stands in for
    .code(problem.status)
    .headers({ ...headers, 'content-type': 'application/problem+json', 'cache-control': 'no-store' })
    .serializer((value: unknown) => JSON.stringify(value))
    .send(body);
}
