/** Checks and compiles Resource documents: the audiences that tokens are minted for. */

import { adminAudience, adminResourceName } from './admin-resource.ts';
import type { Checked } from './check.ts';
import type { ResourceDocument } from './document.ts';
import { type Problems, placeOf } from './problems.ts';
import type { PolicyContext, Resource } from './snapshot.ts';
import type { PolicySource } from './source.ts';

/** Where Mintmark itself takes tokens. */
export function ownAudiences({ issuer, tokenEndpoint }: PolicyContext): readonly string[] {
  return [issuer, tokenEndpoint, adminAudience(issuer)];
}

const maxLifetimeSeconds = 86_400;

/** The resources as compiled; what is wrong with any goes to `problems`. */
export function compileResources(
  checked: readonly Checked<ResourceDocument>[],
  context: PolicyContext,
  problems: Problems,
): Resource[] {
  const byAudience = new Map<string, PolicySource>();
  return checked.map(({ source, document }) => {
    const { name } = document.metadata;
    const { audience, extraAudiences, scopes, tokenLifetime, signingAlg, proof } = document.spec;
    if (name === adminResourceName) {
      problems.add(source, ['metadata', 'name'], `${adminResourceName} is built in: choose another name`);
    }
    const first = byAudience.get(audience);
    if (audience === adminAudience(context.issuer)) {
      problems.add(
        source,
        ['spec', 'audience'],
        'is the audience of the admin API itself: choose another one',
      );
    } else if (/[\s\p{Cc}]/u.test(audience)) {
      problems.add(source, ['spec', 'audience'], 'must hold no spaces or control characters');
    } else if (first !== undefined) {
      const message = `is the audience of ${placeOf(first, ['spec', 'audience'])} already: each resource needs its own`;
      problems.add(source, ['spec', 'audience'], message);
    } else {
      byAudience.set(audience, source);
    }
    if (tokenLifetime > maxLifetimeSeconds) {
      problems.add(source, ['spec', 'tokenLifetime'], 'must be at most 24h');
    }
    return {
      name,
      audience,
      extraAudiences,
      scopes: new Set(scopes),
      tokenLifetimeSeconds: tokenLifetime,
      signingAlgorithm: signingAlg,
      proof,
    };
  });
}
