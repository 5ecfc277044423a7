/** The admin API as the commands use it. */
import { z } from 'zod';
import type { CliDependencies } from './dependencies.ts';
import { CommandFailure } from './exit.ts';
import { readAdminToken, readServerUrl } from './server.ts';
import { refusalOf } from './token-refusal.ts';

const namedSchema = z.object({ kind: z.string(), name: z.string() });
const policySchema = z
  .object({
    revision: z.int(),
    documents: z.array(z.record(z.string(), z.json())),
    managed_by_file: z.array(namedSchema),
  })
  .transform(({ revision, documents, managed_by_file: managedByFile }) => ({
    revision,
    documents,
    managedByFile,
  }));

const policyProblemSchema = z.object({
  document: z.string(),
  field: z.string(),
  line: z.int().optional(),
  message: z.string(),
});

const diffSchema = z.object({
  added: z.array(namedSchema),
  removed: z.array(namedSchema),
  changed: z.array(
    namedSchema.extend({
      fields: z.array(
        z.object({ field: z.string(), before: z.json().optional(), after: z.json().optional() }),
      ),
    }),
  ),
});

const replayedSchema = z.object({
  request_id: z.string(),
  identity: z.string(),
  audience: z.string().optional(),
  before: z.string(),
  after: z.string(),
  count: z.int(),
});

const replaySchema = z.object({
  looked_at: z.int(),
  newly_permitted: z.array(replayedSchema),
  newly_permitted_total: z.int().default(0),
  newly_refused: z.array(replayedSchema),
  newly_refused_total: z.int().default(0),
  unknown: z.int(),
});

const replacedSchema = z.object({
  revision: z.int(),
  diff: diffSchema,
  warnings: z.array(policyProblemSchema).default([]),
  replay: replaySchema.optional(),
});

const revisionSchema = z.object({
  revision: z.int(),
  at: z.string(),
  author: z.string(),
  reason: z.string().optional(),
});
const revisionPageSchema = z.object({ revisions: z.array(revisionSchema) });
const revisionDetailSchema = revisionSchema.extend({ diff: diffSchema });

const serverKeySchema = z.object({
  kid: z.string(),
  alg: z.string(),
  use: z.string(),
  state: z.string(),
  created_at: z.string(),
  activates_at: z.string(),
  retires_at: z.string().optional(),
  leaves_at: z.string().optional(),
  public_jwk: z.record(z.string(), z.json()),
});
const keyListSchema = z.object({ keys: z.array(serverKeySchema) });
const turnedSchema = keyListSchema.extend({
  changes: z.array(
    z.object({
      kid: z.string(),
      alg: z.string(),
      was: z.string().optional(),
      is: z.string().optional(),
      activates_at: z.string(),
    }),
  ),
});

const serverRevocationSchema = z.object({
  id: z.int(),
  kind: z.string(),
  target: z.string(),
  before: z.string(),
  at: z.string(),
  author: z.string(),
  reason: z.string().optional(),
  expires_at: z.string(),
});
const revocationPageSchema = z.object({
  revocations: z.array(serverRevocationSchema),
  next_cursor: z.string().optional(),
});

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  request_id: z.string(),
  problems: z.array(policyProblemSchema).optional(),
});

export type ServerPolicy = z.infer<typeof policySchema>;
export type PolicyReplaced = z.infer<typeof replacedSchema>;
export type ServerDiff = PolicyReplaced['diff'];
export type ServerReplay = z.infer<typeof replaySchema>;
export type ServerRevision = z.infer<typeof revisionSchema>;
export type ServerRevisionDetail = z.infer<typeof revisionDetailSchema>;
export type ServerKey = z.infer<typeof serverKeySchema>;
export type KeysTurned = z.infer<typeof turnedSchema>;
export type ServerRevocation = z.infer<typeof serverRevocationSchema>;
export type ServerProblem = z.infer<typeof problemSchema>;

/** The server refused, and said why. */
export class ServerRefused extends Error {
  override readonly name = 'ServerRefused';
  readonly problem: ServerProblem;

  constructor(problem: ServerProblem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }
}

interface ReplacePolicyOptions {
  readonly ifRevision: number;
  readonly dryRun: boolean;
  readonly reason?: string | undefined;
  /** How many recent exchanges a dry run decides again. */
  readonly replay?: number | undefined;
}

/** One of the first four is there. */
export interface RevocationOrder {
  readonly jti: string | undefined;
  readonly identity: string | undefined;
  readonly issuer: string | undefined;
  readonly key: string | undefined;
  readonly not_until: string | undefined;
  readonly reason: string | undefined;
}

export interface AdminClient {
  getPolicy(): Promise<ServerPolicy>;
  /** Throws `ServerRefused` where the policy is refused or the revision has moved (status 412). */
  replacePolicy(documents: readonly unknown[], options: ReplacePolicyOptions): Promise<PolicyReplaced>;
  /** The latest changes, newest first. */
  listRevisions(): Promise<readonly ServerRevision[]>;
  getRevision(revision: number): Promise<ServerRevisionDetail>;
  /** Throws `ServerRefused` where the rules of today, the file or another writer stand against it. */
  rollBack(revision: number, options: { readonly dryRun: boolean }): Promise<PolicyReplaced>;
  /** The event, unread; undefined where there is none. */
  getAuditEvent(requestId: string): Promise<unknown>;
  /** A page, unread. */
  listAuditEvents(query: URLSearchParams): Promise<unknown>;
  /** The result, unread; of the document, where there is one, in place of the saved one. */
  checkIssuer(name: string, token: string, document?: unknown): Promise<unknown>;
  /** The answer, unread. */
  explain(question: unknown): Promise<unknown>;
  listKeys(): Promise<readonly ServerKey[]>;
  rotateKeys(options: {
    readonly emergency: boolean;
    readonly reason?: string | undefined;
  }): Promise<KeysTurned>;
  /** Throws `ServerRefused` where there is no such key. */
  revokeKey(kid: string, options: { readonly reason?: string | undefined }): Promise<KeysTurned>;
  /** Throws `ServerRefused` where there is no such thing to revoke. */
  revoke(order: RevocationOrder): Promise<ServerRevocation>;
  /** Also resolves where the token was good for nothing before. */
  revokeToken(token: string): Promise<void>;
  /** A page, the latest first. */
  listRevocations(query: URLSearchParams): Promise<z.infer<typeof revocationPageSchema>>;
}

const timeoutMillis = 60_000;

/** Throws `CommandFailure` where the server or its token cannot be told from the environment. */
export async function openAdminClient(dependencies: CliDependencies): Promise<AdminClient> {
  const serverUrl = readServerUrl(dependencies);
  const token = await readAdminToken(dependencies, serverUrl);

  const call = async (
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    init: RequestInit = {},
  ): Promise<unknown> => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${token.reveal()}`);
    headers.set('accept', 'application/json, application/problem+json');
    const response = await send(dependencies, `${serverUrl}/admin/v1${path}`, { ...init, method, headers });
    const body = await response.json().catch(() => undefined);
    if (response.ok) return body;
    const problem = problemSchema.safeParse(body);
    if (problem.success) throw new ServerRefused(problem.data);
    throw new CommandFailure(
      `${serverUrl} answered ${response.status}, and not as Mintmark does: check MINTMARK_URL.`,
    );
  };

  return {
    getPolicy: async () => understand(policySchema, await call('GET', '/policy')),
    replacePolicy: async (documents, { ifRevision, dryRun, reason, replay }) => {
      const query = new URLSearchParams({
        ...(dryRun ? { dryRun: 'true' } : {}),
        ...(reason ? { reason } : {}),
        ...(replay ? { replay: String(replay) } : {}),
      });
      const answer = await call('PUT', `/policy${query.size === 0 ? '' : `?${query}`}`, {
        headers: { 'content-type': 'application/json', 'if-match': `"${ifRevision}"` },
        body: JSON.stringify({ documents }),
      });
      return understand(replacedSchema, answer);
    },
    listRevisions: async () => {
      const page = understand(revisionPageSchema, await call('GET', '/policy/revisions'));
      return page.revisions;
    },
    getRevision: async (revision) =>
      understand(revisionDetailSchema, await call('GET', `/policy/revisions/${revision}`)),
    rollBack: async (revision, { dryRun }) => {
      const path = `/policy/revisions/${revision}/rollback${dryRun ? '?dryRun=true' : ''}`;
      return understand(replacedSchema, await call('POST', path));
    },
    getAuditEvent: (requestId) => call('GET', `/audit-events/${encodeURIComponent(requestId)}`),
    listAuditEvents: (query) => call('GET', `/audit-events${query.size === 0 ? '' : `?${query}`}`),
    checkIssuer: (name, token, document) =>
      call('POST', `/issuers/${encodeURIComponent(name)}/check`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token, document }),
      }),
    explain: (question) =>
      call('POST', '/explain', {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(question),
      }),
    listKeys: async () => understand(keyListSchema, await call('GET', '/keys')).keys,
    rotateKeys: async (options) =>
      understand(turnedSchema, await call('POST', '/keys/rotate', json(options))),
    revokeKey: async (kid, options) => {
      const path = `/keys/${encodeURIComponent(kid)}/revoke`;
      return understand(turnedSchema, await call('POST', path, json(options)));
    },
    revoke: async (order) =>
      understand(serverRevocationSchema, await call('POST', '/revocations', json(order))),
    revokeToken: async (revoked) => {
      const headers = { authorization: `Bearer ${token.reveal()}` };
      const body = new URLSearchParams({ token: revoked });
      const response = await send(dependencies, `${serverUrl}/oauth/revoke`, {
        method: 'POST',
        headers,
        body,
      });
      if (!response.ok) throw refusalOf(response.status, await response.json().catch(() => undefined));
    },
    listRevocations: async (query) =>
      understand(
        revocationPageSchema,
        await call('GET', `/revocations${query.size === 0 ? '' : `?${query}`}`),
      ),
  };
}

function json(body: unknown): RequestInit {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

/** One request that follows no redirect, since it may carry a token. Throws `CommandFailure` where nobody answers. */
export async function send({ fetch }: CliDependencies, url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMillis) });
  } catch (error) {
    const { origin } = new URL(url);
    throw new CommandFailure(
      `${origin} cannot be reached (${whyUnreachable(error)}): is the server running? MINTMARK_URL names it.`,
    );
  }
}

function whyUnreachable(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : undefined;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.message : 'unknown error';
}

function understand<T>(schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new CommandFailure('The server’s answer is not one that this version of mintmark understands.');
}
