/** The gate of every admin route: who is calling, may they, and an audit event for each use before its answer leaves. */
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { signingAlgorithms } from '../../core/algorithm.ts';
import type { AuditEvent } from '../../core/audit.ts';
import { OAuthError, reasons, refuse } from '../../core/error.ts';
import type { Permit } from '../../core/policy/book.ts';
import { scopesNeeded } from '../../core/policy/scopes-needed.ts';
import type { RefusalCap } from '../../core/refusal-cap.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { remoteAddressOf } from '../remote-address.ts';
import { readShownToken } from '../shown-token.ts';
import type { AdminCaller, AdminScope } from './admin-caller.ts';
import { adminMetadataUrl } from './metadata.ts';
import { AdminProblem, problemOf, sendProblem } from './problem.ts';

/** What one admin request leaves behind; filled in on its way. */
interface AdminUse {
  readonly event: AuditEvent;
  isRecorded: boolean;
}

declare module 'fastify' {
  interface FastifyRequest {
    adminUse: AdminUse | undefined;
    adminCaller: AdminCaller | undefined;
  }
}

/** An `onRequest` hook, so that the body of a stranger's request is never read. */
export type Authorize = (action: string, ...scopes: readonly AdminScope[]) => onRequestAsyncHookHandler;

const retryAfterRefusalsSeconds = 60;

/** Prepares the plugin's instance: problems as error bodies, the audit of each use, and the gate that its routes name. */
export function installAuthorization(app: FastifyInstance, dependencies: HttpDependencies): Authorize {
  const { audit, authenticate, clock, dpopNonce, presentedCertificate, refusalCap, settings } = dependencies;

  app.decorateRequest('adminUse', undefined);
  app.decorateRequest('adminCaller', undefined);

  app.setErrorHandler(async (error, request, reply) => {
    const problem = problemOf(error);
    if (problem.status >= 500) request.log.error({ err: error }, 'admin request failed');
    const use = request.adminUse;
    if (use) noteProblem(use.event, problem);
    if (use?.isRecorded === false && problem.reason === 'server.audit_unavailable') {
      use.isRecorded = true; // the answer is this problem whether or not the audit takes the event now
      await audit.append(use.event).catch((err) => request.log.error({ err }, 'audit event lost'));
    }
    return sendProblem(problem, request, reply);
  });

  app.addHook('onSend', async (request) => {
    const use = request.adminUse;
    if (use === undefined || use.isRecorded) return;
    use.isRecorded = true; // the problem that follows a failed append passes here again
    await audit.append(use.event).catch((cause) => {
      throw new OAuthError('server.audit_unavailable', { cause });
    });
  });

  const refuseStranger = async (request: FastifyRequest, refusal: OAuthError): Promise<never> => {
    const { reason } = refusal;
    await countRefusal(request, refusalCap);
    throw new AdminProblem(
      'unauthorized',
      {
        detail: 'Send the admin token as "Authorization: Bearer <token>".',
        reason,
        headers: { 'www-authenticate': strangersChallenge(request, refusal, settings.issuer) },
      },
      refusal,
    );
  };

  const authenticateCaller = async (request: FastifyRequest, nowMillis: number) => {
    const certificate = () => presentedCertificate(request);
    const shown = readShownToken(request, settings.issuer, certificate) ?? refuse('admin.token_missing');
    return authenticate(shown, nowMillis);
  };

  return (action, ...scopes) =>
    async (request, reply) => {
      const event = beginUse(request, action, clock.now());
      if (request.headers.dpop !== undefined) reply.header('dpop-nonce', dpopNonce(event.at));
      const caller = await authenticateCaller(request, event.at).catch((error: unknown) => {
        const refusal = OAuthError.from(error);
        if (refusal.isOurFault) throw error; // our own failure is not the caller's
        return refuseStranger(request, refusal);
      });
      event.actor = caller.name;
      requireScopes(caller, scopes, settings.issuer);
      request.adminCaller = caller;
    };
}

/**
 * The scheme that was tried comes first, with what was wrong; no error code where no token came (RFC 6750 §3.1). RFC 9449
 * §7.1: whoever may send a bearer token is told that a bound one is taken too.
 */
function strangersChallenge({ headers }: FastifyRequest, { code, reason }: OAuthError, issuer: string) {
  const algorithms = `algs="${signingAlgorithms.join(' ')}"`;
  const error = reason === 'admin.token_missing' ? '' : `, error="${code}"`;
  if (/^dpop /i.test(headers.authorization ?? '')) {
    return `DPoP resource_metadata="${adminMetadataUrl(issuer)}"${error}, ${algorithms}`;
  }
  return `${challengeOf(issuer)}${error}, DPoP ${algorithms}`;
}

/** RFC 9728 §5.1. */
function challengeOf(issuer: string): string {
  return `Bearer resource_metadata="${adminMetadataUrl(issuer)}"`;
}

/** Throws an AdminProblem that names the first scope which the caller lacks (RFC 6750 §3.1). */
function requireScopes(caller: AdminCaller, scopes: readonly AdminScope[], issuer: string): void {
  const missing = scopes.find((scope) => !caller.scopes.has(scope));
  if (missing === undefined) return;
  throw new AdminProblem('forbidden', {
    detail: `This needs the scope ${missing}.`,
    headers: {
      'www-authenticate': `${challengeOf(issuer)}, error="insufficient_scope", scope="${scopes.join(' ')}"`,
    },
  });
}

/**
 * Refuses a change that the caller's scopes do not reach; what it needs is known once its content is. A dry run changes
 * nothing, but its diff shows what the policy says, so it needs to be allowed to read in place of `policy:admin`.
 */
export function permitOf(
  request: FastifyRequest,
  { isDryRun, issuer }: { readonly isDryRun: boolean; readonly issuer: string },
): Permit {
  return (before, after) =>
    requireScopes(
      callerOf(request),
      isDryRun ? ['policy:read', 'policy:write'] : scopesNeeded(before, after),
      issuer,
    );
}

/** For what only the body of a request shows to need more than its route does. */
export function requireScope(
  request: FastifyRequest,
  scope: AdminScope,
  settings: HttpDependencies['settings'],
): void {
  requireScopes(callerOf(request), [scope], settings.issuer);
}

/** The event of this request, which the audit keeps before the answer leaves. `at` is in milliseconds. */
export function beginUse(request: FastifyRequest, action: string, at: number): AuditEvent {
  const event: AuditEvent = {
    requestId: request.id,
    at,
    outcome: 'permitted',
    action,
    remoteAddress: remoteAddressOf(request),
  };
  request.adminUse = { event, isRecorded: false };
  return event;
}

/** Throws once the address is past its cap of refusals. */
export async function countRefusal(request: FastifyRequest, refusalCap: RefusalCap): Promise<void> {
  if (await refusalCap(remoteAddressOf(request))) return;
  request.adminUse = undefined; // past the cap a refusal is counted, and writes no row
  throw new AdminProblem('too-many-refusals', {
    headers: { 'retry-after': String(retryAfterRefusalsSeconds) },
  });
}

/** RFC 6750 §2.1. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^bearer +(?<token>\S+) *$/i.exec(authorization ?? '')?.groups?.token;
}

function noteProblem(event: AuditEvent, problem: AdminProblem): void {
  event.outcome = problem.status >= 500 ? 'failed' : 'refused';
  event.reason = problem.reason;
  const { code } = reasons[problem.reason];
  if (code !== 'by-lane') event.errorCode = code;
  // What the caller is told of a token is the same for each; the audit says more.
  const detail =
    (problem.cause instanceof OAuthError ? problem.cause.detail : undefined) ?? problem.details.detail;
  if (detail !== undefined) event.detail = detail;
}

/** Says in the audit what this request did. */
export function summarize(request: FastifyRequest, summary: string): void {
  if (request.adminUse) request.adminUse.event.summary = summary;
}

/** The event of this request, for a store that makes it durable together with the change that it tells of. */
export function eventOf(request: FastifyRequest): AuditEvent {
  if (request.adminUse === undefined) throw new AdminProblem('unauthorized');
  return request.adminUse.event;
}

/** The store has made the event of this request durable, so that no second one is appended. */
export function markRecorded(request: FastifyRequest): void {
  if (request.adminUse) request.adminUse.isRecorded = true;
}

/** The caller that the gate let in. A route without a gate has none, and fails closed. */
export function callerOf(request: FastifyRequest): AdminCaller {
  if (request.adminCaller === undefined) throw new AdminProblem('unauthorized');
  return request.adminCaller;
}
