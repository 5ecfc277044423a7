/** `mintmark policy revisions` and `mintmark policy rollback`: what the policy was, and back to it. */
import {
  type AdminClient,
  openAdminClient,
  type PolicyReplaced,
  ServerRefused,
  type ServerRevision,
  type ServerRevisionDetail,
} from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { explainProblem } from '../explain-problem.ts';
import { createPaint, type Paint, plain, plainJson } from '../paint.ts';
import { countDiff, isEmpty, printDiff } from '../print-diff.ts';

interface RollbackOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Lists the latest changes, newest first; with a number, shows what that one changed. */
export async function policyRevisions(
  dependencies: CliDependencies,
  revision: string | undefined,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const { out, environment } = dependencies;
  const paint = createPaint(out.isTerminal, environment);
  if (revision === undefined) {
    const revisions = await ask(dependencies, (client) => client.listRevisions());
    out.write(json ? `${plainJson({ revisions })}\n` : printRevisions(revisions, paint));
    return exitCodes.done;
  }
  const number = readNumber(revision);
  const detail = await ask(dependencies, (client) => client.getRevision(number));
  out.write(json ? `${plainJson(detail)}\n` : printRevision(detail, paint));
  return exitCodes.done;
}

/** Makes the policy what it was at that revision. Exit code 0, also where nothing changes. */
export async function policyRollback(
  dependencies: CliDependencies,
  revision: string,
  { dryRun = false, json }: RollbackOptions,
): Promise<ExitCode> {
  const { out, environment } = dependencies;
  const number = readNumber(revision);
  const replaced = await ask(dependencies, (client) => client.rollBack(number, { dryRun }));
  const paint = createPaint(out.isTerminal, environment);
  out.write(json ? `${plainJson(replaced)}\n` : printRollback(replaced, dryRun, paint));
  return exitCodes.done;
}

async function ask<T>(dependencies: CliDependencies, question: (client: AdminClient) => Promise<T>) {
  const client = await openAdminClient(dependencies);
  return question(client).catch((error) => {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem), { body: error.problem });
  });
}

function readNumber(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw usageFailure(`${plain(text)} is not the number of a revision: mintmark policy revisions lists them.`);
}

function headline({ revision, at, author, reason }: ServerRevision, paint: Paint): string {
  const why = reason === undefined ? '' : `  ${plain(reason)}`;
  return `${paint('bold', String(revision))}  ${plain(at)}  ${plain(author)}${why}\n`;
}

function printRevisions(revisions: readonly ServerRevision[], paint: Paint): string {
  if (revisions.length === 0) return `${paint('dim', 'the policy has never been changed')}\n`;
  return revisions.map((revision) => headline(revision, paint)).join('');
}

function printRevision(detail: ServerRevisionDetail, paint: Paint): string {
  return `${headline(detail, paint)}${printDiff(detail.diff, paint)}${countDiff(detail.diff)}\n`;
}

function printRollback({ revision, diff }: PolicyReplaced, dryRun: boolean, paint: Paint): string {
  if (isEmpty(diff)) return `${paint('dim', `nothing to change; the policy is at revision ${revision}`)}\n`;
  const what = dryRun ? 'not applied' : `the policy is now at revision ${revision}`;
  return `${printDiff(diff, paint)}${paint('bold', `${countDiff(diff)}; ${what}`)}\n`;
}
