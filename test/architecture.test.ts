/** The house's layers, sizes and names, held by a test that also asserts that it saw the files. */
import { describe, expect, it } from 'vitest';
import { longestImportChain, readSourceTree, type SourceFile } from './support/source-tree.ts';

const files = readSourceTree(new URL('../src', import.meta.url).pathname);

/** What each layer may import: our own layers, and packages. `node:` modules are listed where they are restricted. */
const layers: readonly {
  name: string;
  owns: RegExp;
  mayImport: RegExp;
  packages: RegExp;
  nodeModules: RegExp;
}[] = [
  {
    name: 'core',
    owns: /^core\//,
    mayImport: /^core\//,
    packages: /^(zod|re2js|ajv|@marcbachmann\/cel-js)$/,
    nodeModules: /^node:(crypto|util)$/,
  },
  {
    name: 'platforms',
    owns: /^credentials\/platforms\/[^/]+\//,
    mayImport: /^core\/|^credentials\/jwt\.ts$/,
    packages: /^zod$/,
    nodeModules: /^$/,
  },
  {
    name: 'credentials',
    owns: /^credentials\//,
    mayImport: /^(core|credentials)\//,
    packages: /^(zod|jose|@peculiar\/(x509|asn1-cms|asn1-schema)|asn1js|reflect-metadata)$/,
    nodeModules: /^node:(crypto|util)$/,
  },
  {
    name: 'adapters',
    owns: /^adapters\//,
    mayImport: /^(core|adapters)\//,
    packages: /./,
    nodeModules: /./,
  },
  {
    name: 'http',
    owns: /^http\//,
    mayImport: /^(core|http)\//,
    packages: /^(fastify|@fastify\/.+|fastify-type-provider-zod|zod)$/,
    nodeModules: /^node:(crypto|fs|net|stream|util)$/,
  },
  {
    name: 'client', // is copied into other people's programs, so it needs nothing of ours
    owns: /^client\//,
    mayImport: /^client\//,
    packages: /^$/,
    nodeModules: /^node:crypto$/,
  },
  {
    name: 'cli',
    owns: /^cli\/(?!mintmark\.ts$)/,
    mayImport: /^(client|core|cli)\//,
    packages: /^(commander|jose|oauth4webapi|zod|yaml)$/,
    nodeModules: /./,
  },
];

const folderOf = (path: string) => path.split('/').slice(0, -1).join('/');
const layerOf = (file: SourceFile) => layers.find((layer) => layer.owns.test(file.path));

describe('architecture', () => {
  it('sees every layer', () => {
    for (const layer of layers) {
      expect(files.filter((file) => layer.owns.test(file.path)).length, layer.name).toBeGreaterThan(2);
    }
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(100);
  });

  it('lets each layer import only what it may', () => {
    const offences = files.flatMap((file) => {
      const layer = layerOf(file);
      if (!layer) return [];
      return file.imports
        .filter(({ target, isOurs }) => {
          if (isOurs) return !layer.mayImport.test(target) && folderOf(target) !== folderOf(file.path);
          return !(target.startsWith('node:') ? layer.nodeModules : layer.packages).test(target);
        })
        .map(({ target }) => `${file.path} imports ${target}`);
    });
    expect(offences).toEqual([]);
  });

  it('keeps platforms and adapters apart from each other', () => {
    const rooms = /^(credentials\/platforms|adapters)\/([^/]+)\//;
    const offences = files.flatMap((file) =>
      file.imports
        .filter(({ target }) => rooms.test(file.path) && rooms.test(target))
        .filter(({ target }) => rooms.exec(file.path)?.[2] !== rooms.exec(target)?.[2])
        .map(({ target }) => `${file.path} imports ${target}`),
    );
    expect(offences).toEqual([]);
  });

  it('lets nothing but the entry points import main and wire', () => {
    const offences = files.flatMap((file) =>
      file.imports
        .filter(({ target }) => /^(main|wire)\.ts$/.test(target))
        .filter(() => file.path !== 'main.ts' && file.path !== 'cli/mintmark.ts')
        .map(({ target }) => `${file.path} imports ${target}`),
    );
    expect(offences).toEqual([]);
  });

  it('lets only credentials prove an identity', () => {
    const provers = files.filter((file) => /\bproveIdentity\(/.test(file.text)).map((file) => file.path);
    expect(provers).toContain('core/identity.ts');
    expect(provers.some((path) => path.startsWith('credentials/'))).toBe(true);
    expect(provers.filter((path) => !path.startsWith('credentials/') && path !== 'core/identity.ts')).toEqual(
      [],
    );
  });

  it('reads the wall clock in one file alone', () => {
    const readers = files
      .filter((file) => /\bDate\.now\(\)|\bnew Date\(\)/.test(file.text))
      .map((file) => file.path);
    expect(readers).toEqual(['wall-clock.ts']);
  });

  it('keeps files small, chains short, and has no cycle', () => {
    const sizes = files.map((file) => file.lines).sort((a, b) => a - b);
    expect(sizes[Math.floor(sizes.length / 2)]).toBeLessThanOrEqual(120);
    expect(files.filter((file) => file.lines > 350).map((file) => file.path)).toEqual([]);
    expect(longestImportChain(files).length).toBeLessThanOrEqual(9);
  });

  it('names files in kebab-case, without words that say nothing', () => {
    const vague = /(^|[/-])(utils?|helpers?|common|misc|manager|service)([./-]|$)/;
    expect(files.filter((file) => !/^[a-z0-9/-]+\.ts$/.test(file.path) || vague.test(file.path))).toEqual([]);
  });

  it('says in the first line what each file owns', () => {
    expect(
      files.filter((file) => !/^(#!.*\n)?(\/\*\*|\/\/) \S/.test(file.text)).map((file) => file.path),
    ).toEqual([]);
  });
});
