/** `npm run figures`: sizes, import chains and dependencies, for whoever watches that the house stays small. */
import { execFileSync } from 'node:child_process';
import packageDescription from '../package.json' with { type: 'json' };
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
