/** Checks and compiles Resource documents: the audiences that tokens are minted for, and who may ask what one of them says. */

import { maxJwtGrantSeconds } from '../jwt-grant.ts';
import { parseSpiffeId } from '../spiffe-id.ts';
import { adminAudience, adminResourceName } from './admin-resource.ts';
import type { CheckedPolicy } from './check.ts';
import type { ResourceDocument } from './document.ts';
import { ownResourceName } from './own-resource.ts';
import { type Problems, placeOf } from './problems.ts';
import type { FieldProblem } from './schema-sentences.ts';
import type { NamedSubject, PolicyContext, Resource } from './snapshot.ts';
import type { PolicySource } from './source.ts';
import { compileSubject, type Report } from './subjects.ts';

/** Where Mintmark itself takes tokens. */
export function ownAudiences({ issuer, tokenEndpoint }: PolicyContext): readonly string[] {
  return [issuer, tokenEndpoint, adminAudience(issuer)];
}

const maxLifetimeSeconds = 86_400;
/** RE2 instructions of one resource's patterns; each is run at each introspection of its tokens. */
const maxProgramSize = 300;
const longSvidSeconds = 3600;

/** The resources as compiled; what is wrong with any goes to `problems`. */
export function compileResources(
  policy: CheckedPolicy,
  context: PolicyContext,
  problems: Problems,
): Resource[] {
  const byAudience = new Map<string, PolicySource>();
  return policy.resources.map(({ source, document }) => {
    const { name } = document.metadata;
    const { audience, extraAudiences, scopes, tokenLifetime, reuse, signingAlg, tokenFormats, proof } =
      document.spec;
    if (name === adminResourceName || name === ownResourceName) {
      problems.add(source, ['metadata', 'name'], `${name} is built in: choose another name`);
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
    } else if (/^spiffe:/i.test(audience) && parseSpiffeId(audience) === undefined) {
      problems.add(
        source,
        ['spec', 'audience'],
        'looks like a SPIFFE ID and is none, so that no workload could be meant by it',
      );
    } else if (first !== undefined) {
      const message = `is the audience of ${placeOf(first, ['spec', 'audience'])} already: each resource needs its own`;
      problems.add(source, ['spec', 'audience'], message);
    } else {
      byAudience.set(audience, source);
    }
    if (tokenLifetime > maxLifetimeSeconds) {
      problems.add(source, ['spec', 'tokenLifetime'], 'must be at most 24h');
    }
    if (reuse !== undefined && reuse.minRemaining >= tokenLifetime) {
      const message = 'must be shorter than tokenLifetime: no token would have so much left';
      problems.add(source, ['spec', 'reuse', 'minRemaining'], message);
    }
    if (tokenFormats.includes('jwt-svid') && tokenLifetime > longSvidSeconds) {
      problems.warn(
        source,
        ['spec', 'tokenLifetime'],
        'is long for JWT-SVIDs, which are bound to no key and cannot be taken back: an hour is much',
      );
    }
    for (const { path, message } of [...svidProblems(document.spec), ...grantProblems(document.spec)]) {
      problems.add(source, ['spec', ...path], message);
    }
    return {
      name,
      audience,
      extraAudiences,
      scopes: new Set(scopes),
      tokenLifetimeSeconds: tokenLifetime,
      reuseMinRemainingSeconds: reuse?.minRemaining,
      signingAlgorithm: signingAlg,
      introspectors: compileIntrospectors(document.spec, policy, context, (path, message) =>
        problems.add(source, ['spec', ...path], message),
      ),
      tokenFormats: new Set(tokenFormats),
      proof,
    };
  });
}

/** Who may introspect (RFC 7662): the same checks as for a Grant's subjects; the caller is known by its token, which does not say who vouched for it. */
function compileIntrospectors(
  { introspectors, acknowledgeWide }: ResourceDocument['spec'],
  policy: CheckedPolicy,
  context: PolicyContext,
  report: Report,
): readonly NamedSubject[] {
  let programSize = 0;
  const compiled = introspectors.flatMap((entry, index) => {
    const at: Report = (path, message) => report(['introspectors', index, ...path], message);
    if (entry.issuer !== undefined) {
      at(['issuer'], 'does not name a workload: use spiffeId, prefix, pattern or trustDomain');
      return [];
    }
    const subject = compileSubject(entry, acknowledgeWide, policy, context, at);
    if (subject === undefined || 'issuer' in subject) return [];
    if ('pattern' in subject) programSize += subject.compiled.programSize;
    return [subject];
  });
  if (programSize > maxProgramSize) {
    report(
      ['introspectors'],
      `holds patterns that are larger than ${maxProgramSize} RE2 instructions together: use prefix or spiffeId`,
    );
  }
  return compiled;
}

/** What a JWT-SVID can never be. */
function svidProblems({
  tokenFormats,
  signingAlg,
  extraAudiences,
  proof,
}: ResourceDocument['spec']): FieldProblem[] {
  if (!tokenFormats.includes('jwt-svid')) return [];
  return [
    // JWT-SVID §2.1
    ...(signingAlg === 'EdDSA'
      ? [{ path: ['signingAlg'], message: 'a JWT-SVID is never signed with EdDSA: choose ES256' }]
      : []),
    ...(proof !== 'none'
      ? [{ path: ['proof'], message: 'a JWT-SVID is bound to nothing: leave this, or jwt-svid, out' }]
      : []),
    ...(extraAudiences.length > 0
      ? [{ path: ['extraAudiences'], message: 'a JWT-SVID has one audience: leave this, or jwt-svid, out' }]
      : []),
  ];
}

/** What a JWT authorization grant can never be. */
function grantProblems({
  tokenFormats,
  tokenLifetime,
  extraAudiences,
  proof,
  reuse,
}: ResourceDocument['spec']): FieldProblem[] {
  if (!tokenFormats.includes('jwt-grant')) return [];
  const problems: readonly (readonly [isOne: boolean, field: string, message: string])[] = [
    [
      tokenFormats.length > 1,
      'tokenFormats',
      'jwt-grant is for another authorization server: write it alone',
    ],
    [
      tokenLifetime > maxJwtGrantSeconds,
      'tokenLifetime',
      'must be written and at most 5m: a jwt-grant is exchanged at once',
    ],
    [extraAudiences.length > 0, 'extraAudiences', 'a jwt-grant has one audience: leave this out'],
    [proof !== 'none', 'proof', 'a jwt-grant is bound to nothing: leave this out'],
    [reuse !== undefined, 'reuse', 'a jwt-grant is taken once: leave this out'],
  ];
  return problems.flatMap(([isOne, field, message]) => (isOne ? [{ path: [field], message }] : []));
}
