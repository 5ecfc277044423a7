/** `npm run figures`: sizes, import chains, dependencies, and how much each platform is tested. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import packageDescription from '../package.json' with { type: 'json' };
import { realClients } from './support/real-clients.ts';
import { longestImportChain, readSourceTree } from './support/source-tree.ts';

const files = readSourceTree(new URL('../src', import.meta.url).pathname);
const sizes = files.map((file) => file.lines).sort((a, b) => a - b);
const largest = files.reduce((best, file) => (file.lines > best.lines ? file : best));
const chain = longestImportChain(files);
const installed = execFileSync('npm', ['ls', '--omit=dev', '--omit=optional', '--all', '--parseable'], {
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .slice(1);

console.log(`source files        ${files.length}, ${sizes.reduce((sum, lines) => sum + lines, 0)} lines`);
console.log(`median, largest     ${sizes[Math.floor(sizes.length / 2)]}, ${largest.lines} (${largest.path})`);
console.log(`longest chain       ${chain.length}: ${chain.join(' → ')}`);
console.log(
  `direct, total deps  ${Object.keys(packageDescription.dependencies).length}, ${installed.length}`,
);

const platformsFolder = new URL('../src/credentials/platforms', import.meta.url).pathname;
const clients: Readonly<Record<string, string>> = realClients;
console.log(`\n${'platform'.padEnd(20)}accepted  refused  real client`);
for (const entry of readdirSync(platformsFolder, { withFileTypes: true })) {
  if (!entry.isDirectory()) continue;
  const folder = join(platformsFolder, entry.name);
  const vectors = readdirSync(folder)
    .filter((name) => /^vectors.*\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
  const count = (kind: 'accepted' | 'refused') =>
    vectors.length === 0 ? '–' : String(vectors.reduce((sum, file) => sum + file[kind].length, 0));
  const columns = [entry.name.padEnd(20), count('accepted').padStart(8), count('refused').padStart(9)];
  console.log(`${columns.join('')}  ${clients[entry.name] ?? 'no'}`);
}
