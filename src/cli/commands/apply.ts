/** `mintmark apply` and `mintmark diff`: documents from files become part of the server's policy. */
import { setTimeout as delay } from 'node:timers/promises';
import { documentLabel, type PolicySource } from '../../core/policy/source.ts';
import { type AdminClient, openAdminClient, type PolicyReplaced, ServerRefused } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { explainPlaces, explainProblem } from '../explain-problem.ts';
import { mergePolicy } from '../merge-policy.ts';
import { createPaint, plain, plainJson } from '../paint.ts';
import { countDiff, isEmpty, printDiff, printReplay } from '../print-diff.ts';
import { readPolicySources, readTestSources } from '../read-policy-sources.ts';

export interface ApplyOptions {
  readonly file: readonly string[];
  readonly set?: string;
  readonly prune?: boolean;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export type DiffOptions = Omit<ApplyOptions, 'dryRun' | 'reason'> & { readonly replay?: string };

const maxTries = 5;
const retryMillis = 150;

/** Creates and replaces the documents of the files. Exit code 0, also where nothing changes. */
export async function apply(dependencies: CliDependencies, options: ApplyOptions): Promise<ExitCode> {
  const sent = await send(dependencies, options, options.dryRun === true);
  report(dependencies, options, sent);
  return exitCodes.done;
}

/** Says what `apply` would change. Exit code 1 where that is anything, an exchange's outcome included. */
export async function diff(dependencies: CliDependencies, options: DiffOptions): Promise<ExitCode> {
  const { replay = '0' } = options;
  if (!/^\d{1,4}$/.test(replay) || Number(replay) > 1000) {
    throw usageFailure('--replay takes a number from 0 to 1000.');
  }
  const sent = await send(dependencies, options, true, Number(replay));
  report(dependencies, { ...options, dryRun: true }, sent);
  const { newly_permitted: permitted = [], newly_refused: refused = [] } = sent.replaced.replay ?? {};
  return isEmpty(sent.replaced.diff) && permitted.length + refused.length === 0
    ? exitCodes.done
    : exitCodes.refused;
}

interface Sent {
  readonly sources: readonly PolicySource[];
  /** The labels of the PolicyTest documents. */
  readonly leftOut: readonly string[];
  readonly replaced: PolicyReplaced;
}

async function send(
  dependencies: CliDependencies,
  options: Omit<ApplyOptions, 'dryRun'>,
  dryRun: boolean,
  replay = 0,
): Promise<Sent> {
  if (options.prune && options.set === undefined) {
    throw usageFailure('--prune needs --set NAME: it deletes only what an earlier apply of that set wrote.');
  }
  const sources = await readPolicySources(dependencies, options.file);
  const tests = await readTestSources(dependencies, options.file);
  const leftOut = tests.map(({ value }) => documentLabel(value));
  if (leftOut.length > 0 && !options.json) {
    dependencies.err.write(`left out, for "mintmark test" to run: ${plain(leftOut.join(', '))}\n`);
  }
  const client = await openAdminClient(dependencies);
  try {
    return { sources, leftOut, replaced: await replaceMerged(client, sources, options, { dryRun, replay }) };
  } catch (error) {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem, sources), { body: error.problem });
  }
}

/** Reads, merges and writes; again from the start where another writer came between. */
async function replaceMerged(
  client: AdminClient,
  sources: readonly PolicySource[],
  { set, prune = false, reason }: ApplyOptions,
  kind: { readonly dryRun: boolean; readonly replay: number },
): Promise<PolicyReplaced> {
  for (let tries = 1; ; tries++) {
    const current = await client.getPolicy();
    try {
      return await client.replacePolicy(mergePolicy(current, sources, { set, prune }), {
        ifRevision: current.revision,
        ...kind,
        reason,
      });
    } catch (error) {
      const hasMoved = error instanceof ServerRefused && error.problem.status === 412;
      if (!hasMoved || tries >= maxTries) throw error;
      await delay(retryMillis * tries);
    }
  }
}

function report(
  { out, err, environment }: CliDependencies,
  { json, dryRun }: ApplyOptions,
  { sources, leftOut, replaced: { revision, diff: changes, warnings, replay } }: Sent,
): void {
  if (json) {
    const replayed = replay === undefined ? {} : { replay };
    out.write(`${plainJson({ revision, diff: changes, warnings, left_out: leftOut, ...replayed })}\n`);
    return;
  }
  const applied = new Set(sources.map(({ value }) => documentLabel(value)));
  const ours = warnings.filter(({ document }) => applied.has(document));
  for (const line of explainPlaces(ours, sources)) err.write(`warning: ${line}\n`);
  const paint = createPaint(out.isTerminal, environment);
  if (isEmpty(changes)) {
    out.write(`${paint('dim', `nothing to change; the policy is at revision ${revision}`)}\n`);
    if (replay !== undefined) out.write(printReplay(replay, paint));
    return;
  }
  const what = dryRun ? 'not applied' : `the policy is now at revision ${revision}`;
  out.write(`${printDiff(changes, paint)}${paint('bold', `${countDiff(changes)}; ${what}`)}\n`);
  if (replay !== undefined) out.write(printReplay(replay, paint));
}
