/** The part of a compiled policy that a verifier reads, made by hand, and credentials to present to it. */

import type { Credential, DeclaredType } from '../../src/core/credential.ts';
import type { Lane } from '../../src/core/error.ts';
import type { Identity } from '../../src/core/identity.ts';
import type { Condition } from '../../src/core/policy/condition.ts';
import { compileCondition } from '../../src/core/policy/conditions.ts';
import { grantSet } from '../../src/core/policy/grant-set.ts';
import type { PolicySnapshot, TrustedDomain, TrustedIssuer } from '../../src/core/policy/snapshot.ts';
import { parseSubjectTemplate } from '../../src/core/policy/subject-template.ts';
import { Secret } from '../../src/core/secret.ts';
import { openKeySets } from '../../src/credentials/jwks.ts';
import { platforms } from '../../src/credentials/platforms/index.ts';
import { oidc } from '../../src/credentials/platforms/oidc/index.ts';
import { createVerifier } from '../../src/credentials/verify.ts';
import { testNowMillis } from './tokens.ts';

/** Our own issuer and trust domain in tests. */
export const ownIssuer = 'https://sts.example';
export const ownTrustDomain = 'mint.example';

/** What a verifier needs besides its keys, where no platform is to be called. */
export const verifierOptions = {
  issuer: ownIssuer,
  trustDomain: ownTrustDomain,
  platforms,
  callPlatform: () => Promise.reject(new Error('nobody is to be called')),
  readTokenFile: () => Promise.reject(new Error('no file is to be read')),
};

/** An issuer with generous defaults; its template follows its platform and name unless `template` is given. */
export function makeIssuer(
  fields: Partial<TrustedIssuer> & { readonly name: string; readonly template?: string },
): TrustedIssuer {
  const { template, ...rest } = fields;
  const platform = rest.platform ?? oidc;
  return {
    issuerUrl: `https://${rest.name}.example`,
    platform,
    audiences: [ownIssuer],
    keys: { discovery: true },
    subject: parseSubjectTemplate(template ?? platform.defaultSubject, rest.name),
    require: [],
    maxTokenAgeSeconds: undefined,
    once: false,
    auditClaims: [],
    ...rest,
  } as TrustedIssuer;
}

export function makeDomain(fields: Partial<TrustedDomain> & { readonly name: string }): TrustedDomain {
  return {
    audiences: [ownIssuer, `${ownIssuer}/oauth/token`],
    bundle: { url: `https://${fields.name}/bundle.json`, profile: 'https_web' },
    serveStaleSeconds: 3600,
    maxSvidLifetimeSeconds: 86_400,
    ...fields,
  };
}

/** A policy that trusts these and grants nothing. */
export function trusting(...trusted: readonly (TrustedIssuer | TrustedDomain)[]): PolicySnapshot {
  const issuers = new Map<string, TrustedIssuer[]>();
  const trustDomains = new Map<string, TrustedDomain>();
  for (const document of trusted) {
    if ('platform' in document) {
      issuers.set(document.issuerUrl, [...(issuers.get(document.issuerUrl) ?? []), document]);
    } else {
      trustDomains.set(document.name, document);
    }
  }
  return {
    revision: 1,
    trustDomain: ownTrustDomain,
    documents: [],
    warnings: [],
    issuers,
    observedIssuers: new Set(),
    trustDomains,
    resourcesByAudience: new Map(),
    resourcesByName: new Map(),
    grantsFor: () => [],
    defaultGrantsFor: () => [],
    grantsOn: () => [],
    basis: {
      checked: { issuers: [], trustDomains: [], resources: [], declares: () => false },
      resources: [],
      conditionClaimPaths: new Set(),
      grants: grantSet([]),
    },
  };
}

export function credential(
  token: string,
  lane: Lane = 'subject_token',
  declaredType: DeclaredType = 'any',
): Credential {
  return { lane, declaredType, token: new Secret(token) };
}

export type Present = (
  token: string,
  lane?: Lane,
  options?: { readonly declaredType?: DeclaredType; readonly nowMillis?: number },
) => Promise<Identity>;

/** The real verifier over issuers and trust domains whose documents hold their keys: nothing is fetched. */
export function verifierFor(...trusted: readonly (TrustedIssuer | TrustedDomain)[]): Present {
  const keySets = openKeySets({
    fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
    clock: { now: () => testNowMillis },
  });
  const verify = createVerifier({ ...verifierOptions, keySets });
  const policy = trusting(...trusted);
  return (token, lane, { declaredType, nowMillis = testNowMillis } = {}) =>
    verify(credential(token, lane, declaredType), policy, nowMillis);
}

export function issuerCondition(source: string): Condition {
  const condition = compileCondition(source, 'Issuer');
  if (typeof condition === 'string') throw new Error(condition);
  return condition;
}
