/** The program of the release before this one, as it was: kept in the tree, since a clone need not hold its commit. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const archive = new URL('../e2e/previous-release.tar.gz', import.meta.url).pathname;
const dependencies = new URL('../../node_modules', import.meta.url).pathname;

export interface PreviousRelease {
  readonly main: string;
  readonly commandLine: string;
  readonly migrationsFolder: string;
  remove(): void;
}

/** Unpacks it into a folder of its own. It runs on the dependencies that are installed now. */
export async function unpackPreviousRelease(): Promise<PreviousRelease> {
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-previous-'));
  await run('tar', ['-xzf', archive, '-C', folder]);
  symlinkSync(dependencies, join(folder, 'node_modules'));
  return {
    main: join(folder, 'src/main.ts'),
    commandLine: join(folder, 'src/cli/mintmark.ts'),
    migrationsFolder: join(folder, 'migrations'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
