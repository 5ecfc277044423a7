#!/usr/bin/env node
/** The command line's process: gathers what the commands are given, runs one, and exits with its code. */
import { readFile, writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import packageDescription from '../../package.json' with { type: 'json' };
import { readPolicyPath, readPolicyTestsPath } from '../adapters/policy-source/read-path.ts';
import { platforms } from '../credentials/platforms/index.ts';
import { createSuppose } from '../credentials/suppose.ts';
import { wallClock } from '../wall-clock.ts';
import type { CliDependencies } from './dependencies.ts';
import { postToSocket, run } from './machine.ts';
import { runCommand } from './program.ts';

const dependencies: CliDependencies = {
  environment: process.env,
  version: packageDescription.version,
  out: { write: (chunk) => void process.stdout.write(chunk), isTerminal: process.stdout.isTTY === true },
  err: { write: (chunk) => void process.stderr.write(chunk), isTerminal: process.stderr.isTTY === true },
  fetch: globalThis.fetch,
  readTextFile: (path) => readFile(path, 'utf8'),
  run,
  postToSocket,
  nowMillis: wallClock.now,
  readStandardInput: () => text(process.stdin),
  readPolicyPath: (path) => readPolicyPath(path, 'rest'),
  readPolicyTestsPath,
  writeTextFile: (path, content) => writeFile(path, content),
  platforms,
  readPlatformVectors: async (platform) => {
    const url = new URL(`../credentials/platforms/${platform}/vectors.json`, import.meta.url);
    const content = await readFile(url, 'utf8').catch(() => undefined);
    return content === undefined ? undefined : JSON.parse(content);
  },
  createSuppose,
  // The server's own imports take a while, and the other commands do not need them.
  serve: async () => {
    const { serve } = await import('../main.ts');
    return serve(process.env);
  },
  examine: async () => {
    const { examine } = await import('../doctor.ts');
    return examine(process.env, wallClock);
  },
  migrate: async () => {
    const [{ openLogger }, { readConfig }, { migrateStores }] = await Promise.all([
      import('../adapters/log/logger.ts'),
      import('../config.ts'),
      import('../stores.ts'),
    ]);
    return migrateStores(readConfig(process.env), wallClock, openLogger({ level: 'warn' }));
  },
  verifyAudit: async (window, publicKeys) => {
    const [{ openLogger }, { readConfig }, { verifyStoredAudit }] = await Promise.all([
      import('../adapters/log/logger.ts'),
      import('../config.ts'),
      import('../stores.ts'),
    ]);
    const logger = openLogger({ level: 'warn' });
    return verifyStoredAudit(readConfig(process.env), wallClock, logger, window, publicKeys);
  },
};

// Whoever reads us may stop early, as `head` does; that is no failure of the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

process.exitCode = await runCommand(process.argv.slice(2), dependencies);
