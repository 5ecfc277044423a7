/** Load on a server that is counted: callers count what they got, the database counts what it recorded. */
import { expect } from 'vitest';
import { onServer } from './postgres-client.ts';
import { eventually } from './processes.ts';
import { hashOf, jwtSpiffeAssertion, ordersId, postToken, type World } from './story.ts';

export const callers = 16;

export interface Load {
  readonly issued: Set<string>;
  readonly failures: unknown[];
  /** Resolves after `count` more answers. */
  pass(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Exchanges at `url` from many callers at once until told to stop; the credential is made for `issuer`. A connection that breaks is `failures` too. */
export async function startLoad({ svid }: Pick<World, 'svid'>, url: string, issuer = url): Promise<Load> {
  const form = {
    grant_type: 'client_credentials',
    client_assertion_type: jwtSpiffeAssertion,
    client_assertion: await svid(ordersId, issuer),
    audience: 'alpha',
    scope: 'alpha',
  };
  const issued = new Set<string>();
  const failures: unknown[] = [];
  let answers = 0;
  let isRunning = true;
  const call = async () => {
    while (isRunning) {
      try {
        const { status, body } = await postToken(url, form);
        if (status === 200) issued.add(hashOf(String(body.access_token)));
        else failures.push({ status, body });
      } catch (error) {
        failures.push(error);
      }
      answers += 1;
    }
  };
  const all = Promise.all(Array.from({ length: callers }, call));
  return {
    issued,
    failures,
    pass: async (count) => {
      const target = answers + count;
      await expect.poll(() => answers, { timeout: 20_000 }).toBeGreaterThan(target);
    },
    stop: async () => {
      isRunning = false;
      await all;
    },
  };
}

async function recordedHashes(databaseUrl: string): Promise<string[]> {
  const { rows } = await onServer(
    databaseUrl,
    `select event->>'tokenHash' as hash from audit_events where outcome = 'permitted' and action = 'token.exchange'`,
  );
  return rows.map(({ hash }) => String(hash));
}

/** Until nothing of the spool is left, seen from outside: the database has every token that was issued. */
export async function expectAllRecorded(databaseUrl: string, issued: ReadonlySet<string>): Promise<number> {
  await eventually(async () => {
    const recorded = new Set(await recordedHashes(databaseUrl));
    const missing = [...issued].filter((hash) => !recorded.has(hash));
    if (missing.length > 0) throw new Error(`${missing.length} of ${issued.size} tokens are not recorded`);
  }, 20_000);
  const recorded = await recordedHashes(databaseUrl);
  expect(new Set(recorded).size).toBe(recorded.length);
  return recorded.length;
}
