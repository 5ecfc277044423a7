/** The admin routes alone, on real stores. */
import Fastify from 'fastify';
import { readPolicyText } from '../../../src/adapters/policy-source/read-text.ts';
import { sqlStores } from '../../../src/adapters/postgres/open.ts';
import { openPgliteDatabase } from '../../../src/adapters/postgres/pglite-database.ts';
import { createPolicyBook } from '../../../src/core/policy/book.ts';
import type { TurningKeyRing } from '../../../src/core/ports.ts';
import { replayAttempts } from '../../../src/core/replay.ts';
import { v7RequestId } from '../../../src/core/request-id.ts';
import { createRevocationBook } from '../../../src/core/revocation-book.ts';
import { Secret } from '../../../src/core/secret.ts';
import { platforms } from '../../../src/credentials/platforms/index.ts';
import { type Authenticate, createAuthenticate } from '../../../src/http/admin/admin-caller.ts';
import { adminRoutes } from '../../../src/http/admin/routes.ts';
import { testAdminToken, testIssuer } from '../../support/house.ts';

const unused = () => {
  throw new Error('not a part of this test');
};

/** With callers of the test's own, and an audit and a store that it can reach into. */
export async function openAdminAlone(
  authenticate: Authenticate = createAuthenticate({
    bootstrapToken: new Secret(testAdminToken),
    verifyShownToken: unused,
    audience: 'https://sts.test/admin/v1',
    scopesOf: unused,
  }),
) {
  const clock = { now: () => 1_800_000_000_000 };
  const database = await openPgliteDatabase({});
  const stores = sqlStores(database, database, clock);
  await stores.migrate();
  const context = {
    issuer: testIssuer,
    trustDomain: 'mintmark.test',
    tokenEndpoint: `${testIssuer}/oauth/token`,
    platforms,
  };
  const policyBook = createPolicyBook({ store: stores.policy, context, clock });
  await policyBook.refresh();
  const keyRings: TurningKeyRing[] = [];
  const app = Fastify({ genReqId: () => v7RequestId(clock.now()) });
  app.addHook('onClose', () => stores.close());
  await app.register(adminRoutes, {
    prefix: '/admin/v1',
    settings: {
      issuer: testIssuer,
      trustedProxies: [],
      version: '0',
      certificateHeader: undefined,
      isTrustedProxy: () => false,
    },
    clock,
    exchange: unused,
    revoke: unused,
    introspect: unused,
    revocations: createRevocationBook({ store: stores.revocations, clock, onProblem: () => {} }),
    spiffeBundle: unused,
    checkIssuer: unused,
    checkUnsavedIssuer: unused,
    verify: unused,
    dpopNonce: unused,
    presentedCertificate: unused,
    checkPushedKeys: unused,
    explain: unused,
    replayAttempts,
    keyRing: {
      signer: unused,
      publicKeys: unused,
      refresh: unused,
      list: () => [],
      rotate: unused,
      revoke: unused,
    },
    metrics: { contentType: 'text/plain', text: unused, countForwardAuth: unused },
    forwardAuth: unused,
    forwardAuthCap: unused,
    keyRings,
    policyBook,
    policyHistory: stores.policyHistory,
    readPolicyText,
    writePolicyText: unused,
    audit: stores.audit,
    auditLog: stores.audit,
    refusalCap: async () => true,
    authenticate,
    readiness: [],
    isDraining: () => false,
  });
  return {
    app,
    stores,
    policyBook,
    /** None, unless a test adds some. */
    keyRings,
    storedPolicy: () => stores.policy.load(),
    breakAudit: () =>
      database.transaction(({ script }) =>
        script('alter table audit_events add constraint broken check (false) not valid'),
      ),
  };
}
