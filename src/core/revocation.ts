/** What is revoked, and which tokens and identities that covers. Pure: the same answer on every replica that knows the same. */
import type { IdentityFields } from './identity.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { issuerNameOf } from './match.ts';
import { parseSubjectTemplate } from './policy/subject-template.ts';

export type RevocationKind = 'token' | 'identity' | 'issuer' | 'key';

export interface Revocation {
  /** Later revocations have higher ones. */
  readonly id: number;
  readonly kind: RevocationKind;
  /** A `jti`, a SPIFFE ID, `Issuer/name` or `TrustDomain/name`, a `kid`. */
  readonly target: string;
  /** Of an issuer: `spiffe://` and a trust domain, and the template of the paths that the issuer could give there; else empty. */
  readonly subjects: string;
  /** Of a token: the SPIFFE ID whose it was, where that is known. */
  readonly owner: string | undefined;
  /** Milliseconds since the epoch, a whole second: nothing that was issued before is good. */
  readonly before: number;
  readonly at: number;
  readonly author: string;
  readonly reason: string | undefined;
  /** No token that this covers is alive any more, in milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** What of a token decides whether it is revoked. */
export interface TokenFacts {
  readonly jti: string;
  readonly kid: string;
  readonly subject: string;
  readonly clientId: string;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
  /** For the actors in it (RFC 8693 §4.1). */
  readonly claims: JsonObject;
}

/** What of an identity decides whether it gets tokens. */
export type Vouched = Pick<IdentityFields, 'spiffeId' | 'credentialKind' | 'issuer' | 'trustDomain'>;

export interface RevocationSet {
  /** What revokes the token, or undefined. */
  covers(token: TokenFacts): RevocationKind | undefined;
  /** What keeps the identity from new tokens now, or undefined. */
  refusesNew(identity: Vouched, nowMillis: number): 'identity' | 'issuer' | undefined;
  /** The last word on a target stands for those before it. */
  add(revocation: Revocation): void;
  /** Forgets what no living token can be covered by. */
  dropExpired(nowMillis: number): void;
  readonly size: number;
}

const secondMillis = 1000;

interface RevokedIssuer {
  readonly revocation: Revocation;
  canGive(spiffeId: string): boolean;
}

export function createRevocationSet(): RevocationSet {
  const tokens = new Map<string, Revocation>();
  const keys = new Map<string, Revocation>();
  const identities = new Map<string, Revocation>();
  const issuers = new Map<string, RevokedIssuer>();
  const all = [tokens, keys, identities];

  const isIdentityRevoked = (id: string, issuedAtMillis: number) =>
    issuedAtMillis < (identities.get(id)?.before ?? Number.NEGATIVE_INFINITY);

  function isIssuerRevoked(ids: readonly string[], issuedAtMillis: number): boolean {
    for (const { revocation, canGive } of issuers.values()) {
      if (issuedAtMillis < revocation.before && ids.some(canGive)) return true;
    }
    return false;
  }

  return {
    covers: ({ jti, kid, subject, clientId, issuedAt, claims }) => {
      if (tokens.has(jti)) return 'token';
      if (keys.has(kid)) return 'key'; // whatever time it claims: who has the key can write any
      if (identities.size === 0 && issuers.size === 0) return undefined;
      const issuedAtMillis = issuedAt * secondMillis;
      const ids = [subject, clientId, ...actorsOf(claims.act)];
      if (ids.some((id) => isIdentityRevoked(id, issuedAtMillis))) return 'identity';
      return isIssuerRevoked(ids, issuedAtMillis) ? 'issuer' : undefined;
    },
    refusesNew: (identity, nowMillis) => {
      if (isIdentityRevoked(identity.spiffeId, nowMillis)) return 'identity';
      const names = issuers.size === 0 ? [] : targetsOf(identity);
      for (const { revocation } of issuers.values()) {
        if (nowMillis < revocation.before && names.includes(revocation.target)) return 'issuer';
      }
      return undefined;
    },
    add: (revocation) => {
      const { kind, target, subjects } = revocation;
      if (kind === 'token') tokens.set(target, revocation);
      else if (kind === 'key') keys.set(target, revocation);
      else if (kind === 'issuer') {
        issuers.set(`${target} ${subjects}`, { revocation, canGive: subjectsMatcher(subjects) });
      } else {
        identities.set(target, revocation);
        // Its own tokens' entries say nothing more. One that acts in another's token stays.
        for (const [jti, { owner, at }] of tokens) {
          if (owner === target && at < revocation.before) tokens.delete(jti);
        }
      }
    },
    dropExpired: (nowMillis) => {
      for (const entries of all) {
        for (const [key, { expiresAt }] of entries) if (expiresAt <= nowMillis) entries.delete(key);
      }
      for (const [key, { revocation }] of issuers) {
        if (revocation.expiresAt <= nowMillis) issuers.delete(key);
      }
    },
    get size() {
      return all.reduce((sum, entries) => sum + entries.size, issuers.size);
    },
  };
}

/** Who acted, and for whom they acted (RFC 8693 §4.1): whoever is in the chain may have had the token. */
function actorsOf(act: Json | undefined): readonly string[] {
  const actors: string[] = [];
  for (let actor = act; isJsonObject(actor); actor = actor.act) {
    if (typeof actor.sub === 'string') actors.push(actor.sub);
  }
  return actors;
}

function targetsOf(identity: Vouched): readonly string[] {
  const issuer = issuerNameOf(identity);
  return [
    ...(issuer === undefined ? [] : [`Issuer/${issuer}`]),
    ...(identity.trustDomain === undefined ? [] : [`TrustDomain/${identity.trustDomain}`]),
  ];
}

/** Reads what `subjects` of a revocation says. Throws where that is neither a trust domain nor one with a template. */
function subjectsMatcher(subjects: string): (spiffeId: string) => boolean {
  const [, trustDomain, path] = /^(spiffe:\/\/[a-z0-9._-]+)(\/.*)?$/.exec(subjects) ?? [];
  if (trustDomain === undefined) throw new Error('subjects of a revocation begin with a trust domain');
  if (path === undefined) return (id) => id.startsWith(`${trustDomain}/`);
  const template = parseSubjectTemplate(path, ''); // the issuer's name is in it already
  return (id) => id.startsWith(`${trustDomain}/`) && template.canGive(id.slice(trustDomain.length));
}
