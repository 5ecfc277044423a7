/** `npm run bench:scale`: what policy costs as it grows: loading, memory, one decision, and one changed grant. */
import { performance } from 'node:perf_hooks';
import { decide } from '../src/core/decide.ts';
import type { IdentityFields } from '../src/core/identity.ts';
import { amendPolicy } from '../src/core/policy/amend.ts';
import { compilePolicy } from '../src/core/policy/compile.ts';
import type { PolicySource } from '../src/core/policy/source.ts';
import type { SpiffeId } from '../src/core/spiffe-id.ts';
import { platforms } from '../src/credentials/platforms/index.ts';

const nowMillis = 1_800_000_000_000;
const issuer = 'https://sts.example';
const context = { issuer, trustDomain: 'sts.example', tokenEndpoint: `${issuer}/oauth/token`, platforms };
const decisions = 20_000;

const source = (kind: string, name: string, spec: object): PolicySource => ({
  value: { apiVersion: 'mintmark/v1', kind, metadata: { name }, spec },
  managedBy: 'rest',
  locate: () => ({}),
});

const workload = (index: number) =>
  `spiffe://sts.example/issuer-${index % 1000}/team-${index % 97}/app-${index}`;

function policyOf(grants: number, issuers: number): PolicySource[] {
  return [
    source('Resource', 'inventory', {
      audience: 'https://inventory.example',
      scopes: ['items:read', 'items:write'],
    }),
    ...Array.from({ length: issuers }, (_, index) =>
      source('Issuer', `issuer-${index}`, {
        platform: 'oidc',
        issuer: `https://idp-${index}.example`,
        keys: { discovery: true },
        subject: `/issuer-${index}/{sub}`,
      }),
    ),
    ...Array.from({ length: grants }, (_, index) =>
      source('Grant', `grant-${index}`, {
        subjects: [{ spiffeId: workload(index) }],
        resource: 'inventory',
        scopes: ['items:read'],
      }),
    ),
  ];
}

const identityOf = (index: number): IdentityFields => ({
  spiffeId: workload(index) as SpiffeId,
  credentialKind: 'platform-token',
  issuer: `issuer-${index % 1000}`,
  claims: {},
  auditClaims: {},
  audiences: [issuer],
  clientIds: [],
  expiresAt: nowMillis / 1000 + 3600,
});

const percentile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

const heapUsed = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};

// A change is one synchronous piece of work, so its time is also how long everybody else waits.
console.log('grants   issuers  load s  change p50 ms  max  heap MB  decide p50 µs  p99 µs');
for (const [grants, issuers] of [
  [10, 10],
  [1_000, 100],
  [100_000, 1_000],
] as const) {
  const sources = policyOf(grants, issuers);
  const before = heapUsed();
  const start = performance.now();
  let policy = compilePolicy(sources, context, 1);
  const loadSeconds = (performance.now() - start) / 1000;
  const heap = (heapUsed() - before) / 1024 ** 2;

  const times: number[] = [];
  for (let count = 0; count < decisions; count += 1) {
    const identity = identityOf((count * 7919) % grants);
    const from = performance.now();
    const decision = decide(
      identity,
      { audience: 'https://inventory.example', scopes: ['items:read'] },
      policy,
      nowMillis,
    );
    times.push((performance.now() - from) * 1000);
    if (!decision.permit) throw new Error(`refused: ${decision.reason}`);
  }
  times.sort((one, other) => one - other);

  const changed = source('Grant', 'grant-7', {
    subjects: [{ spiffeId: workload(7) }],
    resource: 'inventory',
    scopes: ['items:write'],
  });
  const changes: number[] = [];
  for (let count = 2; count < 32; count += 1) {
    const from = performance.now();
    policy = amendPolicy(policy, { put: [changed], remove: [] }, context, count) ?? policy;
    changes.push(performance.now() - from);
  }
  changes.sort((one, other) => one - other);
  const cells = [
    String(grants).padEnd(8),
    String(issuers).padEnd(8),
    loadSeconds.toFixed(2).padStart(6),
    percentile(changes, 0.5).toFixed(1).padStart(13),
    percentile(changes, 1).toFixed(1).padStart(5),
    heap.toFixed(0).padStart(8),
    percentile(times, 0.5).toFixed(1).padStart(14),
    percentile(times, 0.99).toFixed(1).padStart(7),
  ];
  console.log(cells.join(' '));
  if (policy.revision !== 31) throw new Error('not changed');
}
