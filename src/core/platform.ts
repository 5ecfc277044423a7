/** What a folder under `credentials/platforms/` says about its platform: data and one pure check, no I/O. */
import type { JsonObject } from './json.ts';
import type { CallPlatform, ReadTokenFile } from './ports.ts';

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
  /** Claim paths whose values the caller itself writes: no document may rest on one, nor on what lies within it. */
  readonly callerClaims?: readonly string[];
  /** Parts of claims that a subject template or condition could not read otherwise; they replace claims of the same name. Never throws. */
  readonly deriveClaims?: (claims: JsonObject) => JsonObject;
  /** Whether the document always holds the keys themselves (`keys.jwks`); `issuer` may then be any name, not only a URL. */
  readonly hasUploadedKeys?: boolean;
  /** Whether a token must carry a `jti` and be accepted once, whatever a document says. */
  readonly isOneTime?: boolean;
  /**
   * The claims as a subject template reads them, where genuine values are not legal in a path. Pure and injective: two
   * different claim sets that `check` lets pass never become one. `require` and conditions read the claims as signed.
   */
  readonly subjectClaims?: (claims: JsonObject) => JsonObject;
  /** What no document should need to write: returns the reason why these claims are refused, or undefined. */
  readonly check?: (claims: JsonObject) => string | undefined;
  /** Set where the credential is no JWT that published keys verify: what it is, and how it is proved instead. */
  readonly proof?: Proof;
  /** Set where the platform can be asked about a token in place of verifying it with keys (`keys.tokenReview`). */
  readonly review?: (token: TokenUnderReview, ports: ReviewPorts) => Promise<void>;
}

/** A token whose signature nobody has checked: the platform must vouch for it and for each claim that identity rests on. */
export interface TokenUnderReview {
  readonly token: string;
  readonly claims: JsonObject;
  /** Of which the platform must say that the token is for one. */
  readonly audiences: readonly string[];
  readonly url: string;
  readonly caCertificate?: string | undefined;
  readonly tokenFile: string;
  readonly allowPrivateHosts?: readonly string[] | undefined;
}

export interface ReviewPorts {
  readonly callPlatform: CallPlatform;
  readonly readTokenFile: ReadTokenFile;
}

/** A credential of a form of its own. It does no I/O but through the ports that it is given. */
export interface Proof {
  /** The only value that `spec.issuer` may have. */
  readonly issuerUrl: string;
  /** What `subject_token_type` declares it as. */
  readonly declaredType: string;
  /** Whether the text is a credential of this form; cheap, and never true of a JWT. */
  readonly recognises: (credential: string) => boolean;
  /** Set where certificates in the document (`keys.regionCertificates`) verify it, and how old it may be at most, in seconds. */
  readonly regionCertificates?: { readonly maxAgeSeconds: number };
  /** Set where whoever has seen the credential can use it here: why, and what to use instead. A document must acknowledge it. */
  readonly replayable?: string;
  /** Resolves once the platform has vouched for it; throws an `OAuthError` with a `credential.*` reason otherwise. */
  readonly prove: (credential: string, ports: ProofPorts) => Promise<Proven>;
}

export interface ProofPorts {
  /** Our own issuer identifier, which the credential must have been made for. */
  readonly issuer: string;
  readonly nowMillis: number;
  readonly callPlatform: CallPlatform;
  /** Reads a CMS message; throws an `OAuthError`. Who signed it is only known once `isSignedWith` was asked. */
  readonly readSignedDocument: (message: Uint8Array) => SignedDocument;
}

export interface SignedDocument {
  /** Unverified until `isSignedWith`. */
  readonly claims: JsonObject;
  /** Whether the key in this certificate (PEM) made the one signature. */
  readonly isSignedWith: (certificate: string) => boolean;
}

/** What one Issuer document says about credentials that are verified with its own certificates. */
export interface ProofTrust {
  /** PEM by region. */
  readonly regionCertificates: Readonly<Record<string, string>>;
  readonly maxTokenAgeSeconds: number | undefined;
}

export interface Proven {
  readonly claims: JsonObject;
  /** The platform's own name of the workload. */
  readonly subject: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  /** Text that this credential alone has: it is accepted once. */
  readonly uniqueText: string;
  /** Set where only the document's certificates can vouch for all of this: throws an `OAuthError` unless they do. */
  readonly confirm?: (trust: ProofTrust) => void;
}
