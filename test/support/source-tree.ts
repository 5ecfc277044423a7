/** The source files and which of them import which: what the architecture test and the figures are made from. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export interface SourceFile {
  /** Relative to `src/`, such as `core/exchange.ts`. */
  readonly path: string;
  readonly lines: number;
  readonly text: string;
  /** Relative to `src/` for our own files, the bare name for packages and `node:` modules. */
  readonly imports: readonly {
    readonly target: string;
    readonly isOurs: boolean;
    readonly isTypeOnly: boolean;
  }[];
}

const importPattern = /^(?:import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
const lazyImportPattern = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/** Reads every `.ts` file below `root`, tests left out. */
export function readSourceTree(root: string): readonly SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .sort()
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const specifiers = [
        ...[...text.matchAll(importPattern)].map((match) => ({
          specifier: match[2] ?? '',
          isTypeOnly: !!match[1],
        })),
        ...[...text.matchAll(lazyImportPattern)].map((match) => ({
          specifier: match[1] ?? '',
          isTypeOnly: false,
        })),
      ];
      const imports = specifiers.map(({ specifier, isTypeOnly }) => {
        const isOurs = specifier.startsWith('.');
        const target = isOurs
          ? relative(root, resolve(root, dirname(path), specifier))
          : packageName(specifier);
        return { target, isOurs, isTypeOnly };
      });
      return { path, lines: text.split('\n').length - 1, text, imports };
    });
}

/** The longest chain of value imports, as a list of files; throws on a cycle. */
export function longestImportChain(files: readonly SourceFile[]): readonly string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const longest = new Map<string, readonly string[]>();
  const visit = (path: string, trail: readonly string[]): readonly string[] => {
    if (trail.includes(path)) throw new Error(`import cycle: ${[...trail, path].join(' → ')}`);
    const known = longest.get(path);
    if (known) return known;
    const tails = (byPath.get(path)?.imports ?? [])
      .filter((imported) => imported.isOurs && !imported.isTypeOnly)
      .map((imported) => visit(imported.target, [...trail, path]));
    const chain = [path, ...tails.reduce((best, tail) => (tail.length > best.length ? tail : best), [])];
    longest.set(path, chain);
    return chain;
  };
  return files
    .map((file) => visit(file.path, []))
    .reduce((best, chain) => (chain.length > best.length ? chain : best));
}

function packageName(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
