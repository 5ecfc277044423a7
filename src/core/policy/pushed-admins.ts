/** Warns of admins whose identity an issuer can give that lets a workload push its keys: the pusher could be them. */
import { adminResourceName } from './admin-resource.ts';
import type { Checked } from './check.ts';
import type { GrantDocument } from './document.ts';
import type { Problems } from './problems.ts';
import type { PolicyContext, TrustedIssuer } from './snapshot.ts';

export function warnOfPushedAdmins(
  grants: readonly Checked<GrantDocument>[],
  issuers: readonly TrustedIssuer[],
  { trustDomain }: PolicyContext,
  problems: Problems,
): void {
  const pushed = issuers.filter(({ keys }) => keys.pushedBy !== undefined);
  if (pushed.length === 0) return;
  const own = `spiffe://${trustDomain}`;
  for (const { source, document } of grants) {
    if (document.spec.resource !== adminResourceName) continue;
    for (const [index, { spiffeId = '' }] of document.spec.subjects.entries()) {
      if (!spiffeId.startsWith(`${own}/`)) continue;
      const issuer = pushed.find(({ subject }) => subject.canGive(spiffeId.slice(own.length)));
      if (issuer === undefined) continue;
      problems.warn(
        source,
        ['spec', 'subjects', index, 'spiffeId'],
        `is an identity of Issuer "${issuer.name}", whose keys.pushedBy can push keys that make it this admin: name admins of another issuer`,
      );
    }
  }
}
