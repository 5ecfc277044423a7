import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { claimWriterFolder } from './writer-folder.ts';

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'mintmark-writers-'));
  return () => rmSync(parent, { recursive: true });
});

const modulePath = join(import.meta.dirname, 'writer-folder.ts');

/** Another process that claims a folder, and holds it until it is killed. */
async function startHolder() {
  const script = `const { claimWriterFolder } = await import(${JSON.stringify(modulePath)});
    process.stdout.write((await claimWriterFolder(${JSON.stringify(parent)})).path);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [path] = await once(child.stdout, 'data');
  return {
    path: String(path),
    kill: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

describe('claimWriterFolder', () => {
  it('gives each living process a folder of its own, and that of a dead one to the next', async () => {
    const [one, two] = await Promise.all([startHolder(), startHolder()]);
    expect(new Set([one.path, two.path]).size).toBe(2);
    await one.kill();
    const mine = await claimWriterFolder(parent);
    expect(mine.path).toBe(one.path);
    await mine.release();
    await two.kill();
  });

  it('takes over the files of the dead, and leaves those of the living', async () => {
    const holder = await startHolder();
    writeFileSync(join(holder.path, 'audit-1-living.ndjson'), '');
    mkdirSync(join(parent, 'writer-7'));
    writeFileSync(join(parent, 'writer-7', 'audit-1-dead.ndjson'), '');
    const mine = await claimWriterFolder(parent);
    expect(readdirSync(mine.path)).toContain('audit-1-dead.ndjson');
    expect(readdirSync(holder.path)).toContain('audit-1-living.ndjson');
    await holder.kill();
    const next = await claimWriterFolder(parent);
    expect(readdirSync(next.path)).toContain('audit-1-living.ndjson');
    await next.release();
    await mine.release();
  });
});
