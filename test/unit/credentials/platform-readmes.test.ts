/** What a platform's README tells an admin to register is a policy that compiles, with that platform. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { platforms } from '../../../src/credentials/platforms/index.ts';
import { compileText } from '../policy/example-policy.ts';

describe('a platform', () => {
  it.each(platforms)('$name compiles as its README registers it', async ({ name }) => {
    const url = new URL(`../../../src/credentials/platforms/${name}/README.md`, import.meta.url);
    const [document = ''] =
      /^apiVersion: mintmark\/v1\nkind: Issuer\n[^`]*/m.exec(await readFile(url, 'utf8')) ?? [];
    const issuers = [...compileText(document).issuers.values()].flat();
    expect(issuers.map(({ platform }) => platform.name)).toEqual([name]);
  });
});
