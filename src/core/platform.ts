/** What a folder under `credentials/platforms/` says about its platform: data and one pure check, no I/O. */
import type { JsonObject } from './json.ts';

export interface Platform {
  /** The value of `spec.platform` in an Issuer document. */
  readonly name: string;
  /** JWS algorithms (RFC 7518) that the platform signs with; an issuer accepts no other. */
  readonly algorithms: readonly string[];
  /** The subject template where the document has none; `{issuer-name}` stands for `metadata.name`. */
  readonly defaultSubject: string;
  /** Longest `exp` − `iat`, in seconds, of a genuine workload token. */
  readonly maxTokenLifetimeSeconds: number;
  /** Whether anyone can obtain a validly signed token from this issuer, so that `iss` alone proves nothing. */
  readonly isSharedIssuer: (issuerUrl: string) => boolean;
  /** Claim paths of immutable tenant ids, one of which `require` must name where the issuer is shared. */
  readonly tenantClaims: readonly string[];
  /** Audiences that are meant for somebody else, whatever a document says: tokens with one of them are refused. */
  readonly foreignAudiences?: readonly string[];
  /** Audiences that the platform fixes, so that every verifier of its tokens shares them: a token can be replayed from one to another. */
  readonly fixedAudiences?: readonly string[];
  /** Claim paths that only name (and can be given up and taken by others), where an immutable id stands beside them. */
  readonly nameClaims?: readonly string[];
  /** Whether a token must carry a `jti` and be accepted once, whatever a document says. */
  readonly isOneTime?: boolean;
  /**
   * The claims as a subject template reads them, where genuine values are not legal in a path. Pure and injective: two
   * different claim sets that `check` lets pass never become one. `require` and conditions read the claims as signed.
   */
  readonly subjectClaims?: (claims: JsonObject) => JsonObject;
  /** What no document should need to write: returns the reason why these claims are refused, or undefined. */
  readonly check?: (claims: JsonObject) => string | undefined;
}
