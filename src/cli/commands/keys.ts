/** `mintmark keys list`, `rotate` and `revoke`: the server's signing keys, and an administrator's turn of them. */
import { jwksMaxAgeSeconds } from '../../core/discovery.ts';
import {
  type AdminClient,
  type KeysTurned,
  openAdminClient,
  type ServerKey,
  ServerRefused,
} from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { explainProblem } from '../explain-problem.ts';
import { createPaint, type Paint, plain, plainJson } from '../paint.ts';

export interface TurnOptions {
  readonly reason?: string;
  readonly json?: boolean;
}

export interface RotateOptions extends TurnOptions {
  readonly emergency?: boolean;
}

/** A line a key, in the order in which they sign. */
export async function keysList(
  dependencies: CliDependencies,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const { out, environment } = dependencies;
  const keys = await ask(dependencies, (client) => client.listKeys());
  out.write(json ? `${plainJson({ keys })}\n` : printKeys(keys, createPaint(out.isTerminal, environment)));
  return exitCodes.done;
}

/** Exit code 0, also where nothing changes. */
export async function keysRotate(
  dependencies: CliDependencies,
  { emergency = false, reason, json }: RotateOptions,
): Promise<ExitCode> {
  const turned = await ask(dependencies, (client) => client.rotateKeys({ emergency, reason }));
  return report(dependencies, turned, json);
}

/** Asks nothing, and prints what it did. */
export async function keysRevoke(
  dependencies: CliDependencies,
  kid: string,
  { reason, json }: TurnOptions,
): Promise<ExitCode> {
  if (!/^[\w-]{1,128}$/.test(kid)) {
    throw usageFailure(`${plain(kid)} is not the kid of a key: mintmark keys list shows them.`);
  }
  const turned = await ask(dependencies, (client) => client.revokeKey(kid, { reason }));
  return report(dependencies, turned, json);
}

async function ask<T>(dependencies: CliDependencies, question: (client: AdminClient) => Promise<T>) {
  const client = await openAdminClient(dependencies);
  return question(client).catch((error) => {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem), { body: error.problem });
  });
}

function report({ out, environment }: CliDependencies, turned: KeysTurned, json = false): ExitCode {
  const paint = createPaint(out.isTerminal, environment);
  out.write(json ? `${plainJson(turned)}\n` : printTurned(turned, paint));
  return exitCodes.done;
}

function printKeys(keys: readonly ServerKey[], paint: Paint): string {
  const width = (of: (key: ServerKey) => string) => Math.max(...keys.map((key) => plain(of(key)).length));
  const [kidWidth, algWidth] = [width(({ kid }) => kid), width(({ alg }) => alg)];
  return keys
    .map((key) => {
      const state = paint(key.state === 'active' ? 'green' : 'dim', plain(key.state).padEnd(8));
      const name = `${plain(key.alg).padEnd(algWidth)}  ${paint('bold', plain(key.kid).padEnd(kidWidth))}`;
      return `${state}  ${name}  ${plain(lifeOf(key))}\n`;
    })
    .join('');
}

function lifeOf({ state, activates_at: activatesAt, retires_at: retiresAt, leaves_at: leavesAt }: ServerKey) {
  if (state === 'next') return `signs from ${activatesAt}`;
  if (state === 'retiring') return `leaves ${leavesAt ?? 'later'}`;
  return `signs since ${activatesAt}${retiresAt === undefined ? '' : `, until ${retiresAt}`}`;
}

function printTurned({ changes }: KeysTurned, paint: Paint): string {
  if (changes.length === 0) return `${paint('dim', 'nothing to change')}\n`;
  const lines = changes.map(({ kid, alg, was, is, activates_at: activatesAt }) => {
    const name = `${plain(alg)} ${plain(kid)}`;
    if (is === undefined) return `${paint('red', `- ${name}`)}  ${plain(was ?? '')}, now revoked\n`;
    const when = is === 'next' ? `, signs from ${activatesAt}` : '';
    if (was === undefined) return `${paint('green', `+ ${name}`)}  ${plain(is + when)}\n`;
    return `${paint('yellow', `~ ${name}`)}  ${plain(was === is ? is : `${was} → ${is}`)}${plain(when)}\n`;
  });
  const isSeenLate = changes.some(({ is, was }) => is === undefined || (was === 'next' && is === 'active'));
  const note = `resource servers see it once they read the JWK set again, which they may keep for ${jwksMaxAgeSeconds / 60} minutes`;
  return `${lines.join('')}${isSeenLate ? `${note}\n` : ''}`;
}
