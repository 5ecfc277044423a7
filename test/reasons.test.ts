/** Every refusal that we know is asserted somewhere: a reason that no test names may never have been seen to work. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { reasons } from '../src/core/error.ts';

const root = new URL('..', import.meta.url).pathname;

/** What tests and vectors say, this file left out. */
const assertions = ['src', 'test']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
  )
  .filter((path) => /(\.test\.ts|\bvectors\.json)$/.test(path) && path !== 'test/reasons.test.ts')
  .map((path) => readFileSync(join(root, path), 'utf8'))
  .join('\n');

it('asserts every reason of the catalogue', () => {
  const names = Object.keys(reasons);
  expect(names.length).toBeGreaterThan(50);
  expect(
    names.filter((name) => !assertions.includes(`'${name}'`) && !assertions.includes(`"${name}"`)),
  ).toEqual([]);
});
