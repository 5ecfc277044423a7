/** Checks and compiles TrustDomain documents: whose SVIDs are accepted, under which bundle. */

import { bundleEndpointProblems } from './bundle-endpoint.ts';
import type { Checked } from './check.ts';
import type { TrustDomainDocument } from './document.ts';
import { inlineKeysProblems } from './inline-keys.ts';
import { privateHostsProblems } from './private-hosts.ts';
import type { Problems } from './problems.ts';
import type { PolicyContext, TrustedDomain } from './snapshot.ts';
import type { FieldPath } from './source.ts';
import { trustedUrlProblem } from './trusted-url.ts';

const defaultServeStaleSeconds = 3600;
const maxServeStaleSeconds = 7 * 86_400;
const defaultSvidLifetimeSeconds = 86_400;
const longestSvidLifetimeSeconds = 7 * 86_400;

/** The trust domains as compiled; what is wrong with any goes to `problems`. */
export function compileTrustDomains(
  checked: readonly Checked<TrustDomainDocument>[],
  context: PolicyContext,
  problems: Problems,
): TrustedDomain[] {
  return checked.map(({ source, document }) => {
    const { name } = document.metadata;
    const { bundle, audiences, onStale, maxSvidLifetime } = document.spec;
    const report = (path: FieldPath, message: string) => problems.add(source, path, message);

    // Every legal document name is a legal name of a trust domain too (SPIFFE-ID §2.1).
    if (name === context.trustDomain) {
      report(
        ['metadata', 'name'],
        'is Mintmark’s own trust domain, in which no one else may issue: name another one',
      );
    }
    for (const [index, audience] of (audiences ?? []).entries()) {
      if (/[\s\p{Cc}]/u.test(audience)) {
        report(['spec', 'audiences', index], 'must hold no spaces or control characters');
      }
    }
    if (bundle.url !== undefined) {
      const problem = trustedUrlProblem(bundle.url);
      if (problem !== undefined) report(['spec', 'bundle', 'url'], problem);
    }
    for (const { path, message } of bundleEndpointProblems(bundle, name)) {
      report(['spec', 'bundle', ...path], message);
    }
    // Whoever could name a socket over REST could have the server speak to any that it can open.
    if (bundle.workloadApi !== undefined && source.managedBy !== 'file') {
      report(
        ['spec', 'bundle', 'workloadApi'],
        'names a socket on the server: only MINTMARK_POLICY may hold it',
      );
    }
    if (bundle.static !== undefined) {
      for (const { path, message } of inlineKeysProblems(bundle.static, ['static'], 'jwt-svid')) {
        report(['spec', 'bundle', ...path], message);
      }
    }
    for (const { path, message } of privateHostsProblems(
      bundle.workloadApi === undefined ? bundle.allowPrivateHosts : undefined,
      bundle.static === undefined,
    )) {
      report(['spec', 'bundle', ...path], message);
    }
    if (onStale !== undefined && bundle.static !== undefined) {
      report(['spec', 'onStale'], 'a static bundle is never stale: leave it out');
    } else if (onStale !== undefined && onStale.serveFor > maxServeStaleSeconds) {
      report(['spec', 'onStale', 'serveFor'], 'must be at most 7d');
    }
    if (maxSvidLifetime !== undefined && maxSvidLifetime > longestSvidLifetimeSeconds) {
      report(['spec', 'maxSvidLifetime'], 'must be at most 7d');
    }
    return {
      name,
      audiences: audiences ?? [context.issuer, context.tokenEndpoint],
      bundle,
      serveStaleSeconds: onStale?.serveFor ?? defaultServeStaleSeconds,
      maxSvidLifetimeSeconds: maxSvidLifetime ?? defaultSvidLifetimeSeconds,
    };
  });
}
