/** The policy in force: keeps the compiled snapshot fresh, and makes changes whole or not at all. */

import type { AuditEvent } from '../audit.ts';
import { OAuthError } from '../error.ts';
import { type PolicyChange, type PolicyStore, RevisionConflict } from '../policy-store.ts';
import type { Clock } from '../ports.ts';
import { createTurns } from '../turns.ts';
import { isAdminLeft } from './admin-grants.ts';
import { amendPolicy } from './amend.ts';
import { compilePolicy } from './compile.ts';
import { diffPolicies, isEmptyDiff, type PolicyDiff } from './diff.ts';
import type { ManagedBy, StoredDocument } from './document.ts';
import { editsOf, type PolicyEdits, touchedBy, untouchedBy } from './edits.ts';
import { LastAdminRemoved, ManagedByFile } from './refused.ts';
import type { PolicyContext, PolicySnapshot } from './snapshot.ts';
import { documentName, type PolicySource, sourcesFromStored, storedFromSources } from './source.ts';

export interface PlanOptions {
  /** Whose documents the sources replace, all of them; the other side's stay as they are. */
  readonly managedBy: ManagedBy;
  /** The revision that the caller saw; a RevisionConflict where the policy has moved on. */
  readonly ifRevision?: number | undefined;
}

export interface ReplaceOptions extends PlanOptions {
  readonly author: string;
  readonly reason?: string | undefined;
  /** Throws where the author may not turn the one policy into the other; asked before anything is made or told. */
  readonly permit: Permit;
  /** What the audit keeps of the change: it becomes durable together with it, or neither does. */
  readonly event: (outcome: ChangeOutcome) => AuditEvent;
  /** Only says what would change, and leaves no event. */
  readonly dryRun?: boolean | undefined;
}

export type Permit = (before: readonly StoredDocument[], after: readonly StoredDocument[]) => void;

/** What a change is made of; a function says so of the policy that the change is made on. */
export type NextSources =
  | readonly PolicySource[]
  | ((stored: readonly StoredDocument[]) => readonly PolicySource[]);

export interface ChangeOutcome {
  /** The revision in force once the change is made. */
  readonly revision: number;
  readonly diff: PolicyDiff;
}

export interface PolicyPlan {
  /** The revision that the plan was made on. */
  readonly baseRevision: number;
  /** Every document that the change may touch, before and after. */
  readonly before: readonly StoredDocument[];
  readonly after: readonly StoredDocument[];
  readonly diff: PolicyDiff;
  readonly snapshot: PolicySnapshot;
}

export interface PolicyReplaced {
  /** The revision in force after the change; after a dry run or a change of nothing, the one before. */
  readonly revision: number;
  readonly diff: PolicyDiff;
  readonly snapshot: PolicySnapshot;
}

export interface PolicyBook {
  /** The snapshot in force. Throws an `OAuthError` `policy.unavailable` before the first load. */
  current(): PolicySnapshot;
  /** Loads and compiles the stored policy where its revision moved. Rejects where the store does. */
  refresh(): Promise<void>;
  /** What `replace` would do. Rejects with PolicyRefused, ManagedByFile or RevisionConflict. */
  plan(sources: NextSources, options: PlanOptions): Promise<PolicyPlan>;
  /** Replaces every document that `managedBy` names by the sources; retries nothing. */
  replace(sources: NextSources, options: ReplaceOptions): Promise<PolicyReplaced>;
  /** What `amend` would do. Rejects like `plan`. */
  planAmendment(edits: PolicyEdits, options: PlanOptions): Promise<PolicyPlan>;
  /** Changes these documents and no others; that of a grant costs no more where there are many. */
  amend(edits: PolicyEdits, options: ReplaceOptions): Promise<PolicyReplaced>;
  /** Refreshes every `pollMillis` and whenever the store hints at a change. Returns how to stop. */
  watch(options: { readonly pollMillis: number }): () => void;
}

export interface PolicyBookParts {
  readonly store: PolicyStore;
  readonly context: PolicyContext;
  readonly clock: Clock;
  /** Whether admins get in by grants alone, so that a change over REST must leave one who can change the policy. */
  readonly mustKeepAdmin?: boolean;
  /** Hears of a stored policy that does not compile, once a revision, and of a store that a watch could not read. */
  readonly onProblem?: (error: unknown) => void;
  /** Hears of every snapshot that comes into force, the first one too; must not throw. */
  readonly onSnapshot?: (snapshot: PolicySnapshot) => void;
}

export function createPolicyBook(parts: PolicyBookParts): PolicyBook {
  const { store, context, clock, onProblem } = parts;
  let snapshot: PolicySnapshot | undefined;
  let seenRevision: number | undefined;

  /** One at a time, so that a slow load never overwrites what a later change put in force. */
  const inTurn = createTurns();

  async function load(): Promise<void> {
    if (seenRevision !== undefined && (await store.revision()) === seenRevision) return;
    const { revision, compile } = (isInForce(snapshot) && (await readSince(snapshot))) || (await readAll());
    seenRevision = revision;
    try {
      putInForce(compile());
    } catch (error) {
      onProblem?.(error); // what is in force stays in force: a policy half understood is worse than an old one
    }
  }

  /** Whether it is the policy as it was read last; one that was not taken leaves an older one in force. */
  function isInForce(policy: PolicySnapshot | undefined): policy is PolicySnapshot {
    return policy !== undefined && policy.revision === seenRevision;
  }

  async function readAll() {
    const { revision, documents } = await store.load();
    return { revision, compile: () => compilePolicy(sourcesFromStored(documents), context, revision) };
  }

  async function readSince(base: PolicySnapshot) {
    const delta = await store.loadSince(base.revision);
    if (delta === undefined) return undefined;
    const { revision } = delta;
    return { revision, compile: () => amended(base, editsOf(delta), revision) };
  }

  function amended(policy: PolicySnapshot, edits: PolicyEdits, revision: number): PolicySnapshot {
    return (
      amendPolicy(policy, edits, context, revision) ??
      compilePolicy(
        [...sourcesFromStored(untouchedBy(edits, policy.documents)), ...edits.put],
        context,
        revision,
      )
    );
  }

  async function makePlan(next: NextSources, options: PlanOptions): Promise<WritablePlan> {
    const stored = await store.load();
    requireRevision(stored.revision, options);
    const sources = typeof next === 'function' ? next(stored.documents) : next;
    const written = sources.map((source) => ({ ...source, managedBy: options.managedBy }));
    const kept = keptDocuments(stored.documents, written, options.managedBy);
    const whole = [...sourcesFromStored(kept), ...written];
    const planned = compilePolicy(whole, context, stored.revision + 1);
    requireAdminLeft(planned, options);
    const wanted = storedFromSources(whole);
    const diff = diffPolicies(stored.documents, wanted);
    const after = isEmptyDiff(diff) ? stored.documents : wanted; // a store also sees the order of fields
    return {
      baseRevision: stored.revision,
      before: stored.documents,
      after,
      diff,
      snapshot: planned,
      write: (record) => store.replace({ ...record, documents: after }),
    };
  }

  async function makeAmendmentPlan(edits: PolicyEdits, options: PlanOptions): Promise<WritablePlan> {
    await load();
    if (!isInForce(snapshot)) {
      // What is stored does not compile: it may with these edits, and no change is made on what it was before.
      return makePlan((documents) => {
        const own = documents.filter(({ managedBy }) => managedBy === options.managedBy);
        return [...sourcesFromStored(untouchedBy(edits, own)), ...edits.put];
      }, options);
    }
    const base = snapshot;
    requireRevision(base.revision, options);
    const before = touchedBy(edits, base.documents);
    const foreign = before.filter(({ managedBy }) => managedBy !== options.managedBy);
    if (foreign.length > 0) throw new ManagedByFile(foreign.map(({ kind, name }) => `${kind}/${name}`));
    const written = {
      ...edits,
      put: edits.put.map((source) => ({ ...source, managedBy: options.managedBy })),
    };
    const planned = amended(base, written, base.revision + 1);
    requireAdminLeft(planned, options);
    const after = storedFromSources(written.put);
    const diff = diffPolicies(before, after);
    const differing = new Set([...diff.added, ...diff.changed].map(({ kind, name }) => `${kind}/${name}`));
    return {
      baseRevision: base.revision,
      before,
      after,
      diff,
      snapshot: planned,
      write: (record) =>
        store.amend({
          ...record,
          put: after.filter(({ kind, name }) => differing.has(`${kind}/${name}`)),
          removed: diff.removed,
        }),
    };
  }

  function requireAdminLeft(planned: PolicySnapshot, { managedBy }: PlanOptions): void {
    const isOperator = managedBy === 'file'; // who sets the files can switch the bootstrap token on as well
    if (parts.mustKeepAdmin === true && !isOperator && !isAdminLeft(planned, context.trustDomain)) {
      throw new LastAdminRemoved();
    }
  }

  async function makeChange(plan: WritablePlan, options: ReplaceOptions): Promise<PolicyReplaced> {
    const { baseRevision, diff } = plan;
    options.permit(plan.before, plan.after);
    if (options.dryRun === true) return { revision: baseRevision, diff, snapshot: plan.snapshot };
    const revision = await plan.write({
      baseRevision,
      author: options.author,
      ...(options.reason === undefined ? {} : { reason: options.reason }),
      at: clock.now(),
      event: options.event({ revision: isEmptyDiff(diff) ? baseRevision : baseRevision + 1, diff }),
    });
    const changed = { ...plan.snapshot, revision };
    putInForce(changed);
    return { revision, diff, snapshot: changed };
  }

  function putInForce(next: PolicySnapshot): void {
    snapshot = next;
    seenRevision = next.revision;
    parts.onSnapshot?.(next);
  }

  const refresh = () => inTurn(load);

  return {
    current: () => {
      if (snapshot === undefined) throw new OAuthError('policy.unavailable');
      return snapshot;
    },
    refresh,
    plan: makePlan,
    replace: (sources, options) => inTurn(async () => makeChange(await makePlan(sources, options), options)),
    planAmendment: (edits, options) => inTurn(() => makeAmendmentPlan(edits, options)),
    amend: (edits, options) =>
      inTurn(async () => makeChange(await makeAmendmentPlan(edits, options), options)),
    watch({ pollMillis }) {
      const check = () => void refresh().catch((error) => onProblem?.(error));
      const timer = setInterval(check, pollMillis);
      timer.unref();
      const stopListening = store.onChange(check);
      return () => {
        clearInterval(timer);
        stopListening();
      };
    },
  };
}

interface WritablePlan extends PolicyPlan {
  readonly write: (record: Omit<PolicyChange, 'documents'>) => Promise<number>;
}

function requireRevision(revision: number, { ifRevision }: PlanOptions): void {
  if (ifRevision === undefined || ifRevision === revision) return;
  throw new RevisionConflict(`the policy is at revision ${revision}, not ${ifRevision}`);
}

/** The documents of the other side. The operator's file takes over a name; over REST nobody takes one from the file. */
function keptDocuments(
  stored: readonly StoredDocument[],
  written: readonly PolicySource[],
  managedBy: ManagedBy,
): readonly StoredDocument[] {
  const keyOf = ({ kind, name }: { readonly kind: string; readonly name: string }) => `${kind}/${name}`;
  const names = new Set(written.flatMap(({ value }) => documentName(value) ?? []).map(keyOf));
  const others = stored.filter((document) => document.managedBy !== managedBy);
  const contested = others.map(keyOf).filter((key) => names.has(key));
  if (managedBy === 'rest' && contested.length > 0) throw new ManagedByFile(contested);
  return others.filter((document) => !names.has(keyOf(document)));
}
