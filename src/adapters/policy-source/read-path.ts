/** Reads policy documents from a file, or from all files of a folder. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { ManagedBy } from '../../core/policy/document.ts';
import { PolicyRefused } from '../../core/policy/refused.ts';
import type { PolicySource } from '../../core/policy/source.ts';
import { type ReadOptions, readPolicyTests, readPolicyText } from './read-text.ts';

const extension = /\.(yaml|yml|json)$/;
const maxFiles = 10_000;

/**
 * The policy documents under a path: one file, or a folder's `*.yaml`, `*.yml` and `*.json` at any depth, in the order
 * of their names; what begins with a dot is passed over. Rejects with PolicyRefused, all files' problems at once.
 */
export function readPolicyPath(path: string, managedBy: ManagedBy): Promise<PolicySource[]> {
  return readPath(path, managedBy, readPolicyText);
}

/** The PolicyTest documents under a path; they are run, never stored. */
export function readPolicyTestsPath(path: string): Promise<PolicySource[]> {
  return readPath(path, 'file', readPolicyTests);
}

async function readPath(
  path: string,
  managedBy: ManagedBy,
  read: (text: string, options: ReadOptions) => PolicySource[],
): Promise<PolicySource[]> {
  const sources: PolicySource[] = [];
  const refusals: PolicyRefused[] = [];
  for (const file of await listFiles(path)) {
    try {
      const text = await readFile(file, 'utf8').catch((cause) => refusePath(file, unreadable, cause));
      sources.push(...read(text, { file, managedBy }));
    } catch (error) {
      if (!(error instanceof PolicyRefused)) throw error;
      refusals.push(error);
    }
  }
  if (refusals.length > 0) throw new PolicyRefused(refusals.flatMap(({ problems }) => problems));
  return sources;
}

const unreadable = 'cannot be read: check that it is there and readable';

async function listFiles(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch((cause) => refusePath(path, unreadable, cause));
  if (!found.isDirectory()) return [path];
  const files: string[] = [];
  await collectFiles(path, await realpath(path), files);
  if (files.length === 0) {
    // An empty folder is more often a volume that was not mounted than a policy of nothing.
    refusePath(path, 'holds no *.yaml, *.yml or *.json file');
  }
  return files;
}

async function collectFiles(folder: string, root: string, files: string[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) continue; // also the `..data` folders behind a Kubernetes ConfigMap's links
    if (entry.isSymbolicLink()) await checkLink(path, root);
    if (entry.isDirectory()) await collectFiles(path, root, files);
    else if (extension.test(entry.name)) files.push(path);
    if (files.length > maxFiles) refusePath(folder, `holds more than ${maxFiles} files`);
  }
}

/** A link may lead to a file within the folder, as a ConfigMap's do; anywhere else someone else decides what is read. */
async function checkLink(path: string, root: string): Promise<void> {
  const target = await realpath(path).catch((cause) => refusePath(path, unreadable, cause));
  if (!target.startsWith(root + sep)) refusePath(path, 'is a link that leads out of the policy folder');
  if ((await stat(target)).isDirectory()) refusePath(path, 'is a link to a folder, which is not followed');
}

function refusePath(path: string, message: string, cause?: unknown): never {
  const refusal = new PolicyRefused([{ document: 'policy', field: '', file: path, message }]);
  refusal.cause = cause;
  throw refusal;
}
