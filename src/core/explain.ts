/** Answers "what would the exchange say, and why?" with the exchange's own parts; mints, claims and records nothing. */
import { readAdditionalClaims } from './additional-claims.ts';
import type { Check } from './audit.ts';
import type { Credential } from './credential.ts';
import { type AskedFor, type Decision, decide } from './decide.ts';
import { checkGrantScopes, nearestGrants } from './decision-trace.ts';
import { type Delegation, partiesOf } from './delegation.ts';
import { OAuthError, type Reason } from './error.ts';
import { endingWithEarlier, type IdentityFields } from './identity.ts';
import type { Json } from './json.ts';
import { suggest } from './policy/nearest-word.ts';
import type { PolicySnapshot } from './policy/snapshot.ts';
import type { Revocations } from './ports.ts';
import type { ProofKind } from './request-proof.ts';
import { parseScope } from './scope.ts';
import type { Suppose, Supposed } from './supposed.ts';
import type { TokenFormat } from './token-format.ts';

/**
 * As `Verify`, but undefined where the platform would have to be asked, which only an exchange does. The result is typed
 * as unproven, since whoever asks need not hold a certificate's key.
 */
export type VerifyWithoutCalls = (
  credential: Credential,
  policy: PolicySnapshot,
  nowMillis: number,
) => Promise<IdentityFields | undefined>;

export type Given = { readonly credential: Credential } | Supposed;

/** Whose subject token the caller is supposed to have. */
export interface SupposedSubject {
  readonly given: Supposed;
  /** Where we minted the token: the scopes that it holds. */
  readonly scope?: string | undefined;
}

export interface Question {
  readonly given: Given;
  /** Where the caller does not ask for itself: for whom, and who acts where that is not the caller. */
  readonly subject?: SupposedSubject | undefined;
  readonly actor?: Supposed | undefined;
  readonly audience?: string | undefined;
  /** As a request writes them: divided by spaces. */
  readonly scope?: string | undefined;
  readonly additionalClaims?: Json | undefined;
  /** undefined asks for an access token. */
  readonly tokenFormat?: TokenFormat | undefined;
  /** What is supposed to be shown besides. */
  readonly proof?: ProofKind | undefined;
}

/** What became of one grant, and the first thing that failed. */
export interface GrantVerdict {
  readonly grant: string;
  readonly contributes: boolean;
  readonly failed?: Check;
}

export interface Explanation {
  /** `unchecked` where only an exchange can tell. */
  readonly outcome: 'permitted' | 'refused' | 'unchecked';
  readonly reason?: Reason;
  /** What was expected and found; it may quote claims. */
  readonly detail?: string;
  /** Undefined where the credential or claims are refused. */
  readonly identity?: IdentityFields;
  readonly delegation?: Delegation;
  readonly decision?: Decision;
  /** The grants that cover the identity; where none does, those on the resource that come nearest. */
  readonly grants: readonly GrantVerdict[];
}

/** Rejects on a fault of ours only: whatever is wrong with the question's credential or claims is the answer. */
export type Explain = (question: Question, policy: PolicySnapshot, nowMillis: number) => Promise<Explanation>;

export function createExplain(
  verify: VerifyWithoutCalls,
  suppose: Suppose,
  revocations: Pick<Revocations, 'refusesNew'>,
): Explain {
  /** No grant reaches past a revocation; what is refused anyway keeps its own reason, for whoever asks why. */
  const orRevoked = (explanation: Explanation, nowMillis: number): Explanation => {
    const { identity, delegation, outcome } = explanation;
    if (identity === undefined || outcome !== 'permitted') return explanation;
    const revokedBy = partiesOf(identity, delegation)
      .map((party) => revocations.refusesNew(party, nowMillis))
      .find((kind) => kind !== undefined);
    if (revokedBy === undefined) return explanation;
    return {
      ...explanation,
      outcome: 'refused',
      reason: 'policy.identity_revoked',
      detail: `revoked by ${revokedBy}`,
    };
  };
  return async ({ given, ...asked }, policy, nowMillis) => {
    if (!('credential' in given)) {
      return orRevoked(explainSupposed({ given, ...asked }, suppose, policy, nowMillis), nowMillis);
    }
    try {
      const request = readAsked(asked);
      const identity = await verify(given.credential, policy, nowMillis);
      if (identity === undefined) return { outcome: 'unchecked', detail: onlyAnExchange, grants: [] };
      const caller = supposeCaller(identity, asked, suppose, policy, nowMillis);
      return orRevoked(explainDecision(caller, request, policy, nowMillis), nowMillis);
    } catch (error) {
      return refusedBy(error);
    }
  };
}

/** The same for what is only supposed: at once, and without a server. */
export function explainSupposed(
  { given, ...asked }: Question & { readonly given: Supposed },
  suppose: Suppose,
  policy: PolicySnapshot,
  nowMillis: number,
): Explanation {
  try {
    const request = readAsked(asked);
    const identity = suppose(given, policy, nowMillis);
    const caller = supposeCaller(identity, asked, suppose, policy, nowMillis);
    return explainDecision(caller, request, policy, nowMillis);
  } catch (error) {
    return refusedBy(error);
  }
}

type Asked = Omit<AskedFor, 'proof' | 'delegation'> & Pick<Question, 'proof'>;

/** By the readers and in the order of the token endpoints. Throws as they do. */
function readAsked({
  audience,
  scope,
  additionalClaims,
  tokenFormat,
  proof,
}: Omit<Question, 'given'>): Asked {
  const scopes = parseScope(scope);
  const claims = additionalClaims === undefined ? undefined : readAdditionalClaims(additionalClaims);
  return { audience, scopes, additionalClaims: claims, requestedFormat: tokenFormat, proof };
}

interface SupposedCaller {
  readonly identity: IdentityFields;
  readonly delegation?: Delegation;
}

/** As `proveCaller`: a client with a subject token of its own asks for itself, unless we minted that token. */
function supposeCaller(
  client: IdentityFields,
  { subject, actor }: Pick<Question, 'subject' | 'actor'>,
  suppose: Suppose,
  policy: PolicySnapshot,
  nowMillis: number,
): SupposedCaller {
  if (subject === undefined) return { identity: client };
  const about = suppose(subject.given, policy, nowMillis);
  const { scope } = subject;
  if (scope === undefined && actor === undefined && about.spiffeId === client.spiffeId) {
    return { identity: endingWithEarlier(about, client) };
  }
  const delegation = {
    ...(scope === undefined
      ? { subject: about }
      : {
          subject: { ...about, credentialKind: 'own-token' as const, claims: {} },
          inherited: { scopes: parseScope(scope) ?? [] },
        }),
    ...(actor === undefined ? {} : { actor: suppose(actor, policy, nowMillis) }),
  };
  return { identity: client, delegation };
}

function refusedBy(error: unknown): Explanation {
  if (!(error instanceof OAuthError)) throw error;
  const { reason, detail } = error;
  return { outcome: 'refused', reason, ...(detail === undefined ? {} : { detail }), grants: [] };
}

const onlyAnExchange = 'the platform itself must be asked about this credential, which only an exchange does';
const maxNearest = 8;
const maxLookedAt = 5_000;
const maxSuggestions = 200;

function explainDecision(
  { identity, delegation }: SupposedCaller,
  { proof, ...asked }: Asked,
  policy: PolicySnapshot,
  nowMillis: number,
): Explanation {
  // Who authenticates with a certificate has shown it.
  const kind = proof ?? (identity.credentialKind === 'x509-svid' ? 'mtls' : undefined);
  const decision = decide(identity, { ...asked, delegation, proof: kind && { kind } }, policy, nowMillis);
  const detail = detailOf(decision, asked.audience, policy);
  return {
    outcome: decision.permit ? 'permitted' : 'refused',
    ...(decision.permit ? {} : { reason: decision.reason }),
    ...(detail === undefined ? {} : { detail }),
    identity,
    ...(delegation === undefined ? {} : { delegation }),
    decision,
    grants: grantVerdicts(identity, decision, policy),
  };
}

function detailOf(
  decision: Decision,
  audience: string | undefined,
  { resourcesByAudience }: PolicySnapshot,
): string | undefined {
  if (decision.permit) return undefined;
  if (decision.reason === 'policy.unknown_resource' && audience !== undefined) {
    return `audience: ${suggest(audience, [...resourcesByAudience.keys()].slice(0, maxSuggestions))}`;
  }
  const failed = decision.checks.find(({ ok, grant }) => !ok && grant === undefined);
  return failed && `${failed.check}: expected ${failed.expected}, actual ${failed.actual}`;
}

/** For every grant of the trace the first check that it failed; a grant in force may also give none of the scopes. */
function grantVerdicts(
  identity: IdentityFields,
  decision: Decision,
  policy: PolicySnapshot,
): readonly GrantVerdict[] {
  const { resource, checks } = decision;
  if (resource === undefined) return [];
  const contributing = new Set(decision.permit ? decision.grants.map(({ name }) => name) : []);
  const failures = new Map<string, Check>();
  for (const check of checks) {
    const givesNothing = !check.ok || check.check === 'grant.observed';
    if (check.grant !== undefined && givesNothing && !failures.has(check.grant))
      failures.set(check.grant, check);
  }
  const candidates = policy.grantsFor(identity, resource);
  if (candidates.length === 0) {
    const others = policy.grantsOn(resource, maxLookedAt);
    return nearestGrants(identity, others, maxNearest).map((failed) => ({
      grant: failed.grant ?? '',
      contributes: false,
      failed,
    }));
  }
  return candidates.map((grant) => {
    const { name } = grant;
    if (contributing.has(name)) return { grant: name, contributes: true };
    const failed =
      failures.get(name) ?? (decision.permit ? checkGrantScopes(grant, decision.scopes) : undefined);
    return { grant: name, contributes: false, ...(failed === undefined ? {} : { failed }) };
  });
}
