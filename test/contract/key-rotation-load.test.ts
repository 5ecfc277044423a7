/** Tokens minted while keys turn every two seconds, each verified through jose's caching key set: none fails. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import { draftJwtSvid } from '../../src/core/jwt-svid.ts';
import type { KeyLife } from '../../src/core/key-life.ts';
import { Secret } from '../../src/core/secret.ts';
import { parseSpiffeId } from '../../src/core/spiffe-id.ts';
import { draftAccessToken, signDraft } from '../../src/core/token.ts';
import { wallClock } from '../../src/wall-clock.ts';
import { describeSql } from './backends.ts';

/** Below what the configuration lets through, in the same proportions: a cached key set is one second old at most. */
const life: KeyLife = { rotationSeconds: 2, prepublishSeconds: 2, retentionSeconds: 86_460 };
const cacheMillis = 1000;
const loadMillis = 12_000;

describeSql('rotation under load', (backend, name) => {
  test.each([
    { format: 'access_token', algorithms: ['ES256', 'EdDSA'], typ: 'at+jwt', draft: draftAccessToken },
    { format: 'jwt-svid', algorithms: ['ES256', 'ES384'], typ: 'JWT', draft: draftJwtSvid },
  ] as const)(
    'every $format of two replicas verifies at once',
    async ({ format, algorithms, typ, draft }) => {
      const keyEncryptionKey = new Secret<Uint8Array>(randomBytes(32));
      const rings = await Promise.all(
        [backend.stores, backend.replica()].map(({ keys, svidKeys }) =>
          openSoftwareKeys({
            keyStore: format === 'jwt-svid' ? svidKeys : keys,
            format,
            keyEncryptionKey,
            clock: wallClock,
            life,
            algorithms: () => algorithms,
          }),
        ),
      );
      const timer = setInterval(() => {
        for (const ring of rings) void ring.refresh();
      }, 200);
      let asked = 0;
      // As a load balancer does, each request goes to the other replica.
      const server = createServer((_, response) => {
        const keys = rings[asked++ % rings.length]?.publicKeys();
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      // The cooldown outlasts the test: a key that is not in the cached set yet fails, and is not asked for again.
      const keySet = createRemoteJWKSet(new URL(`http://127.0.0.1:${address.port}/`), {
        cacheMaxAge: cacheMillis,
        cooldownDuration: 60_000,
      });
      const subject = parseSpiffeId('spiffe://mintmark.test/load');
      if (subject === undefined) throw new Error('no SPIFFE ID');
      const kids = new Set<string>();
      let verified = 0;
      try {
        const endsAt = wallClock.now() + loadMillis;
        while (wallClock.now() < endsAt) {
          const ring = rings[verified % rings.length];
          if (ring === undefined) throw new Error('no ring');
          const signer = ring.signer(algorithms[verified % 3 ? 0 : 1]);
          const drafted = draft(signer, {
            issuer: 'https://sts.test',
            subject,
            audience: 'load',
            scopes: [],
            addedClaims: {},
            extraAudiences: [],
            lifetimeSeconds: 600,
            nowMillis: wallClock.now(),
          });
          const { accessToken, kid } = await signDraft(signer, drafted);
          await jwtVerify(accessToken.reveal(), keySet, { audience: 'load', typ });
          kids.add(kid);
          verified++;
          await sleep(1);
        }
      } finally {
        clearInterval(timer);
        await new Promise((resolve) => server.close(resolve));
      }
      process.stdout.write(`${name}: ${verified} ${format}s verified under ${kids.size} keys, none failed\n`);
      expect(verified).toBeGreaterThan(1000);
      expect(kids.size).toBeGreaterThanOrEqual(8);
    },
  );
});
