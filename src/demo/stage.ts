/** Everything that the demo runs on: started in order, on this machine alone, and taken down in reverse. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from './loopback.ts';
import { launchMintmark, type MintmarkProcess } from './mintmark-process.ts';
import { type Platform, startPlatform } from './platform.ts';
import { startResourceServer } from './resource-server.ts';
import type { Terminal } from './terminal.ts';
import { startTrustDomain, type TrustDomain } from './trust-domain.ts';

export interface Stage {
  /** Holds credentials, data and log; removed at the end. */
  readonly folder: string;
  readonly platform: Platform;
  readonly trustDomain: TrustDomain;
  readonly mintmark: MintmarkProcess;
  readonly alphaUrl: string;
  readonly betaUrl: string;
  /** The policy in force, as YAML. */
  readonly policy: string;
  /** Aborted when the demo is told to end. */
  readonly signal: AbortSignal;
  /** Writes a file that only this user can read. */
  writePrivate(name: string, text: string): void;
}

export const ownTrustDomain = 'mintmark.demo';
export const foreignTrustDomain = 'prod.demo';

/** Starts all parts and says so. What was started is on `stack`, also where a later part fails. */
export async function setStage(
  terminal: Terminal,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-demo-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const started = <T extends { close(): Promise<void> }>(part: T): T => {
    stack.defer(() => part.close());
    return part;
  };
  const writePrivate = (name: string, text: string) =>
    writeFileSync(join(folder, name), text, { mode: 0o600 });

  const platform = started(await startPlatform());
  const trustDomain = started(await startTrustDomain(foreignTrustDomain));
  terminal.rows([
    ['platform', platform.url, 'a cluster: signs a token for each workload, publishes its keys'],
    ['trust domain', trustDomain.url, `spiffe://${foreignTrustDomain}: issues SVIDs, publishes its bundle`],
  ]);

  const policy = readFileSync(new URL('./policy.yaml', import.meta.url), 'utf8')
    .replaceAll('http://127.0.0.1:7001', platform.url)
    .replaceAll('http://127.0.0.1:7002', trustDomain.url);
  writePrivate('policy.yaml', policy);
  const port = await findFreePort();
  signal.throwIfAborted(); // nothing is launched that nobody would stop
  const startedAt = performance.now();
  const mintmark = launchMintmark({
    port,
    folder,
    trustDomain: ownTrustDomain,
    policyFile: join(folder, 'policy.yaml'),
  });
  stack.defer(() => mintmark.stop());
  await mintmark.untilReady(signal);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const knowing = { issuer: mintmark.url };
  const alpha = started(await startResourceServer({ audience: 'alpha', scope: 'alpha', ...knowing }));
  const beta = started(await startResourceServer({ audience: 'beta', scope: 'beta', ...knowing }));
  terminal.rows([
    ['mintmark', mintmark.url, `on its embedded store, ready in ${seconds} s`],
    ['policy', 'src/demo/policy.yaml', 'one Issuer, one TrustDomain, two Resources, two Grants'],
    ['alpha', alpha.url, 'a protected service: knows the URL of mintmark, shares no secret'],
    ['beta', beta.url, 'another one'],
  ]);
  return {
    folder,
    platform,
    trustDomain,
    mintmark,
    alphaUrl: alpha.url,
    betaUrl: beta.url,
    policy,
    signal,
    writePrivate,
  };
}
