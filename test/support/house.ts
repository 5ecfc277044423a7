/** The whole server inside the test's process: real stores on PGlite, the tests' own clock, requests by `inject`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { openLogger } from '../../src/adapters/log/logger.ts';
import { readConfig } from '../../src/config.ts';
import { wire } from '../../src/wire.ts';
import { testNowMillis } from './tokens.ts';

export const testIssuer = 'https://sts.test';
export const testTokenEndpoint = `${testIssuer}/oauth/token`;
export const testAdminToken = 'canary-admin-token-0123456789abcdef0123456789';

export interface TestHouse {
  readonly app: FastifyInstance;
  /** Moves the clock that the server reads. */
  readonly clock: { now(): number; set(millis: number): void };
  /** Every log line written so far. */
  log(): string;
  /** The audit event of a request, as an admin reads it. */
  eventOf(requestId: string): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

/** Opens a house whose policy is these documents, managed by file. */
export async function openHouse(
  documents: readonly unknown[],
  environment: Record<string, string> = {},
): Promise<TestHouse> {
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-house-'));
  const policyPath = join(folder, 'policy.json');
  writeFileSync(policyPath, JSON.stringify(documents));
  let nowMillis = testNowMillis;
  const clock = {
    now: () => nowMillis,
    set: (millis: number) => {
      nowMillis = millis;
    },
  };
  const lines: string[] = [];
  const logger = openLogger({
    level: 'trace',
    destination: { write: (line: string) => void lines.push(line) },
  });
  const config = readConfig({
    MINTMARK_ISSUER: testIssuer,
    MINTMARK_TRUST_DOMAIN: 'mintmark.test',
    MINTMARK_DATA_DIR: join(folder, 'data'),
    MINTMARK_POLICY: policyPath,
    MINTMARK_ADMIN_TOKEN: testAdminToken,
    ...environment,
  });
  const house = await wire(config, clock, logger);
  return {
    app: house.app,
    clock,
    log: () => lines.join(''),
    eventOf: async (requestId) => {
      const response = await house.app.inject({
        url: `/admin/v1/audit-events/${requestId}`,
        headers: { authorization: `Bearer ${testAdminToken}` },
      });
      if (response.statusCode !== 200) throw new Error(`no audit event ${requestId}: ${response.body}`);
      return response.json();
    },
    close: async () => {
      await house.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

let addressCount = 0;

/** An address that no request came from yet, so that no other test's refusals count against it. */
export function newAddress(): string {
  addressCount++;
  return `10.${addressCount >> 16}.${(addressCount >> 8) & 255}.${addressCount & 255}`;
}

/** `POST /oauth/token` with these parameters, from a new address. */
export function postForm(
  app: FastifyInstance,
  form: Record<string, string>,
  headers: Record<string, string> = {},
) {
  return app.inject({
    method: 'POST',
    url: '/oauth/token',
    remoteAddress: newAddress(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: new URLSearchParams(form).toString(),
  });
}
