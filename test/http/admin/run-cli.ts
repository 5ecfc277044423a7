/** Runs the real command line as a child process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export const program = new URL('../../../src/cli/mintmark.ts', import.meta.url).pathname;

export interface CliResult {
  readonly exitCode: number | null;
  readonly out: string;
  readonly err: string;
}

/** Resolves once it has ended. Its environment holds PATH and what is given, nothing else. */
export async function runCli(
  args: readonly string[],
  options: { environment?: Record<string, string>; input?: string; folder?: string } = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH ?? '', ...options.environment },
    ...(options.folder === undefined ? {} : { cwd: options.folder }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const written = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.err += text;
  });
  child.stdin.on('error', () => {}); // a command that does not read its input may be gone before it is written
  child.stdin.end(options.input ?? '');
  await once(child, 'close');
  return { exitCode: child.exitCode, ...written };
}
