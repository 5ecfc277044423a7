/** The policy as the exchange uses it: compiled, immutable, indexed; swapped whole when its revision changes. */
import type { TokenAlgorithm } from '../algorithm.ts';
import type { IdentityFields } from '../identity.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Platform } from '../platform.ts';
import type { TokenFormat } from '../token-format.ts';
import type { CheckedPolicy } from './check.ts';
import type { Condition } from './condition.ts';
import type { IssuerDocument, ResourceDocument, StoredDocument, TrustDomainDocument } from './document.ts';
import type { GrantSet } from './grant-set.ts';
import type { PolicyProblem } from './refused.ts';
import type { SubjectTemplate } from './subject-template.ts';
import type { WorkloadPattern } from './workload-pattern.ts';

export interface Resource {
  readonly name: string;
  readonly audience: string;
  /** Further values of `aud`, after the audience. */
  readonly extraAudiences: readonly string[];
  readonly scopes: ReadonlySet<string>;
  readonly tokenLifetimeSeconds: number;
  /** What must be left of a token that is handed out again; undefined where each exchange has its own. */
  readonly reuseMinRemainingSeconds: number | undefined;
  readonly signingAlgorithm: TokenAlgorithm;
  /** Who may introspect its tokens. */
  readonly introspectors: readonly NamedSubject[];
  readonly tokenFormats: ReadonlySet<TokenFormat>;
  /** What a request must show, so that its token is bound to it. */
  readonly proof: ResourceDocument['spec']['proof'];
}

export interface Grant {
  readonly name: string;
  readonly resource: Resource;
  readonly subjects: readonly Subject[];
  readonly scopes: ReadonlySet<string>;
  readonly defaultScopes: readonly string[];
  readonly maxTokenLifetimeSeconds: number | undefined;
  readonly isDefault: boolean;
  readonly claims: GrantClaims;
  readonly condition: Condition | undefined;
  /** Whether it is only recorded what it would give. */
  readonly isObserved: boolean;
  readonly delegation: GrantDelegation | undefined;
  /** Milliseconds since the epoch. */
  readonly notAfter: number | undefined;
}

/** For whom a grant's clients may ask besides themselves. */
export interface GrantDelegation {
  readonly actFor: readonly Subject[];
  /** Whether the token may leave out who acts. */
  readonly impersonate: boolean;
}

/** What a grant adds to the tokens that it contributes to. */
export interface GrantClaims {
  readonly set: JsonObject;
  /** Claim paths in the verified claims, by the name that the token gives them. */
  readonly copy: Readonly<Record<string, string>>;
  /** What a caller may add, by name. */
  readonly allowRequested: ReadonlyMap<string, RequestedClaim>;
}

/** Accepts or refuses the value of a claim that a caller asks for, in time that is linear in its size. */
export interface RequestedClaim {
  accepts(value: Json): boolean;
}

export type Subject =
  | { readonly spiffeId: string }
  | { readonly prefix: string }
  | { readonly pattern: string; readonly compiled: WorkloadPattern }
  | { readonly trustDomain: string }
  | { readonly issuer: string };

/** A subject that names IDs, not who vouches for them. */
export type NamedSubject = Exclude<Subject, { readonly issuer: string }>;

export interface TrustedIssuer {
  readonly name: string;
  readonly issuerUrl: string;
  readonly platform: Platform;
  readonly audiences: readonly string[];
  readonly keys: IssuerDocument['spec']['keys'];
  readonly subject: SubjectTemplate;
  readonly require: readonly {
    readonly path: string;
    readonly values: readonly (string | number | boolean)[];
  }[];
  readonly condition: Condition | undefined;
  /** Whether its tokens are verified and recorded, and refused. */
  readonly isObserved: boolean;
  readonly maxTokenAgeSeconds: number | undefined;
  readonly once: boolean;
  readonly auditClaims: readonly string[];
}

export interface TrustedDomain {
  readonly name: string;
  readonly audiences: readonly string[];
  readonly bundle: TrustDomainDocument['spec']['bundle'];
  readonly serveStaleSeconds: number;
  /** The longest that a JWT-SVID may live, from `iat` to `exp`. */
  readonly maxSvidLifetimeSeconds: number;
}

export interface PolicySnapshot {
  readonly revision: number;
  /** Our own, in which the issuers' workloads have their IDs. */
  readonly trustDomain: string;
  /** What was compiled, as its authors wrote it. */
  readonly documents: readonly StoredDocument[];
  /** What its authors should know, though nothing of it is refused. */
  readonly warnings: readonly PolicyProblem[];
  /** Issuer documents by the exact `iss` string; several may share one. */
  readonly issuers: ReadonlyMap<string, readonly TrustedIssuer[]>;
  /** Names of the Issuer documents whose tokens are only recorded. */
  readonly observedIssuers: ReadonlySet<string>;
  readonly trustDomains: ReadonlyMap<string, TrustedDomain>;
  readonly resourcesByAudience: ReadonlyMap<string, Resource>;
  readonly resourcesByName: ReadonlyMap<string, Resource>;
  /** Grants of this resource whose subjects match; cost does not grow with the number of grants. */
  grantsFor(identity: IdentityFields, resource: Resource): readonly Grant[];
  /** Grants marked `default` whose subjects match. */
  defaultGrantsFor(identity: IdentityFields): readonly Grant[];
  /** For the trace of a refusal: the first few grants of the resource, whoever they are for. */
  grantsOn(resource: Resource, limit: number): readonly Grant[];
  readonly basis: PolicyBasis;
}

/** What a change of a few grants is compiled on. */
export interface PolicyBasis {
  readonly checked: Omit<CheckedPolicy, 'grants'>;
  readonly resources: readonly Resource[];
  /** Of every claim that a grant's condition reads. */
  readonly conditionClaimPaths: ReadonlySet<string>;
  readonly grants: GrantSet;
}

/** What a policy is compiled against besides its documents. */
export interface PolicyContext {
  /** Our own issuer identifier and trust domain. */
  readonly issuer: string;
  readonly trustDomain: string;
  readonly tokenEndpoint: string;
  readonly platforms: readonly Platform[];
}
