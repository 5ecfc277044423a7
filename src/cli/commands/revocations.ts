/** `mintmark revoke` and `mintmark revocations list`: what no token is accepted of, and an administrator's word on it. */
import {
  type AdminClient,
  openAdminClient,
  type RevocationOrder,
  ServerRefused,
  type ServerRevocation,
} from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { explainProblem } from '../explain-problem.ts';
import { createPaint, type Paint, plain, plainJson } from '../paint.ts';
import { readCredential } from '../read-credential.ts';

export interface RevokeOptions {
  /** Path of a file that holds the token. */
  readonly token?: string;
  readonly jti?: string;
  readonly identity?: string;
  readonly issuer?: string;
  readonly key?: string;
  readonly notUntil?: string;
  readonly reason?: string;
  readonly json?: boolean;
}

export interface RevocationsListOptions {
  readonly kind?: string;
  readonly target?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

/** Asks nothing, and prints what is revoked. */
export async function revoke(dependencies: CliDependencies, options: RevokeOptions): Promise<ExitCode> {
  const { token, jti, identity, issuer, key, notUntil, reason, json } = options;
  const named = [token, jti, identity, issuer, key].filter((value) => value !== undefined);
  if (named.length !== 1) {
    throw usageFailure('give exactly one of --token, --jti, --identity, --issuer and --key');
  }
  if (notUntil !== undefined && identity === undefined && issuer === undefined) {
    throw usageFailure('--not-until is for --identity or --issuer: a token or a key is not given out again');
  }
  if (token !== undefined) return revokeToken(dependencies, token, options);
  const order: RevocationOrder = { jti, identity, issuer, key, not_until: notUntil, reason };
  const made = await ask(dependencies, (client) => client.revoke(order));
  const { out, environment } = dependencies;
  const paint = createPaint(out.isTerminal, environment);
  out.write(json ? `${plainJson(made)}\n` : `revoked ${lineOf(made, paint)}`);
  return exitCodes.done;
}

/** The server reads what the token is; one that is over or none of its own is good for nothing already (RFC 7009 §2.2). */
async function revokeToken(
  dependencies: CliDependencies,
  path: string,
  { reason, json }: RevokeOptions,
): Promise<ExitCode> {
  if (reason !== undefined) {
    throw usageFailure('--reason does not go with --token: give the token by its --jti to say why');
  }
  const token = await readCredential(dependencies, path);
  await ask(dependencies, (client) => client.revokeToken(token));
  dependencies.out.write(json ? '{"revoked":true}\n' : 'revoked, or good for nothing already\n');
  return exitCodes.done;
}

/** One page, the latest first. */
export async function revocationsList(
  dependencies: CliDependencies,
  { kind, target, limit, json }: RevocationsListOptions,
): Promise<ExitCode> {
  const { out, err, environment } = dependencies;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ kind, target, limit })) {
    if (value !== undefined) query.set(name, value);
  }
  const page = await ask(dependencies, (client) => client.listRevocations(query));
  if (json) {
    out.write(`${plainJson(page)}\n`);
    return exitCodes.done;
  }
  const paint = createPaint(out.isTerminal, environment);
  out.write(page.revocations.map((revocation) => lineOf(revocation, paint)).join(''));
  if (page.revocations.length === 0) err.write('nothing is revoked\n');
  if (page.next_cursor !== undefined) {
    err.write('earlier ones match too: ask for more by --limit (200 at most), or for fewer\n');
  }
  return exitCodes.done;
}

async function ask<T>(dependencies: CliDependencies, question: (client: AdminClient) => Promise<T>) {
  const client = await openAdminClient(dependencies);
  return question(client).catch((error) => {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem), { body: error.problem });
  });
}

function lineOf({ kind, target, before, author, reason }: ServerRevocation, paint: Paint): string {
  const why = reason === undefined ? '' : `: ${reason}`;
  const name = `${paint('red', plain(kind))} ${paint('bold', plain(target))}`;
  return `${name}  issued before ${plain(`${before}, by ${author}${why}`)}\n`;
}
