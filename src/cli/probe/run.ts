/** One probe of a live deployment: exchanges that must succeed, requests that must fail, and what everybody can see of it. */
import { performance } from 'node:perf_hooks';
import type { CheckResult } from '../check-report.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure } from '../exit.ts';
import { type PlatformCredential, tokenRequest } from '../token-request.ts';
import { mustFail, mustSucceed } from './answers.ts';
import { certificateDaysLeft } from './certificate.ts';
import { checkReadiness, measureClockSkew, readDiscovery, readKeys } from './deployment.ts';
import { createForger } from './forged-tokens.ts';
import { verifyMintedToken } from './minted-token.ts';
import type { ProbeExchange, ProbePlan } from './plan.ts';
import { refusalsOfStrangers, refusalsOfWorkload } from './refusals.ts';

export interface ProbeCheck extends CheckResult {
  readonly durationMillis: number;
}

export interface ProbeRun {
  readonly checks: readonly ProbeCheck[];
  /** undefined: no TLS, or it could not be asked. */
  readonly certificateDaysLeft: number | undefined;
  /** Seconds; undefined: it could not be measured. */
  readonly clockSkewSeconds: number | undefined;
}

interface Minted {
  readonly exchange: ProbeExchange;
  readonly audience: string;
  readonly token: string;
}

/** Never rejects for what it finds: each finding is a check that failed. */
export async function runProbe(
  dependencies: CliDependencies,
  url: string,
  plan: ProbePlan,
  obtain: (exchange: ProbeExchange) => Promise<PlatformCredential>,
): Promise<ProbeRun> {
  const checks: ProbeCheck[] = [];
  const check = async <T>(name: string, look: () => Promise<Seen<T>>): Promise<T | undefined> => {
    const startedAt = performance.now();
    const { detail, passed, seen } = await look().catch(failed);
    const durationMillis = Math.round(performance.now() - startedAt);
    checks.push({ check: name, passed, detail, durationMillis });
    return seen;
  };

  await check('ready', async () => fine(await checkReadiness(dependencies, url)));
  const clockSkewSeconds = await check('clock', async () => {
    const skew = await measureClockSkew(dependencies, url);
    const passed = Math.abs(skew) <= plan.maxClockSkewSeconds;
    return { passed, detail: `${skew.toFixed(1)} s from ours`, seen: skew };
  });
  const daysLeft = url.startsWith('https:')
    ? await check('certificate', async () => {
        const days = await certificateDaysLeft(url, dependencies.nowMillis());
        const passed = days >= plan.minCertificateDays;
        return { passed, detail: `${Math.floor(days)} days left`, seen: days };
      })
    : undefined;
  const jwksUri = await check('discovery', async () =>
    fine('both documents agree', await readDiscovery(dependencies, url)),
  );
  const keys = await check('keys', async () => {
    if (jwksUri === undefined) throw new CommandFailure('nobody says where they are');
    const found = await readKeys(dependencies, jwksUri);
    return fine(`${found.keys.length} published`, found);
  });

  let genuine: string | undefined;
  const minted: Minted[] = [];
  for (const exchange of plan.exchanges) {
    const got = await check<Minted | undefined>(exchange.name, async () => {
      const credential = await obtain(exchange);
      const request = tokenRequest(credential, exchange);
      if (exchange.refused !== undefined) {
        return fine(await mustFail(dependencies, url, { request, error: exchange.refused }));
      }
      genuine ??= credential.credential;
      const token = await mustSucceed(dependencies, url, request);
      if (keys === undefined) throw new CommandFailure('a token that no key is known for');
      const claims = await verifyMintedToken(token, keys, {
        issuer: url,
        audience: exchange.audience,
        claims: exchange.expect,
        nowMillis: dependencies.nowMillis(),
      });
      const audience = exchange.audience ?? [claims.aud].flat()[0] ?? '';
      return fine(`a token for ${claims.sub}`, { exchange, audience, token });
    });
    if (got !== undefined) minted.push(got);
  }

  const forger = await createForger(url, genuine, dependencies.nowMillis());
  for (const refusal of await refusalsOfStrangers(forger)) {
    await check(refusal.check, async () => fine(await mustFail(dependencies, url, refusal)));
  }
  for (const { exchange, audience, token } of minted) {
    for (const { check: name, of } of refusalsOfWorkload(audience, token)) {
      await check(`${exchange.name}: ${name}`, async () =>
        fine(await mustFail(dependencies, url, of(await obtain(exchange)))),
      );
    }
  }
  return { checks, certificateDaysLeft: daysLeft, clockSkewSeconds };
}

interface Seen<T> {
  readonly passed: boolean;
  readonly detail: string;
  readonly seen: T | undefined;
}

function fine<T = undefined>(detail: string, seen?: T): Seen<T> {
  return { passed: true, detail, seen };
}

/** Only what was foreseen has a message that certainly holds no token. */
function failed(error: unknown): Seen<never> {
  if (!(error instanceof CommandFailure)) throw error;
  return { passed: false, detail: error.message, seen: undefined };
}
