/** What the core asks of the outside. Each port has one contract suite that every backend passes. */
import type { TokenAlgorithm } from './algorithm.ts';
import type { AuditEvent, Outcome } from './audit.ts';
import type { Credential } from './credential.ts';
import type { Identity } from './identity.ts';
import type { OwnToken } from './own-token.ts';
import type { PolicySnapshot } from './policy/snapshot.ts';
import type { Revocation, RevocationKind, TokenFacts, Vouched } from './revocation.ts';

/**
 * Proves who presents the credential. Throws an `OAuthError` with a `credential.*` reason and no lane; resolves to an
 * identity otherwise. In steady state it waits for no network.
 */
export type Verify = (credential: Credential, policy: PolicySnapshot, nowMillis: number) => Promise<Identity>;

/**
 * Proves that we minted this access token, that it is in force. Rejects with an `OAuthError`
 * `token.…`. Whom it is for and what it is bound to is the caller's to check.
 */
export type VerifyOwnToken = (token: string, nowMillis: number) => Promise<OwnToken>;

/** A DPoP proof (RFC 9449 §4.2), and the request that it must have been made for. */
export interface ShownProof {
  readonly proof: string;
  readonly method: string;
  /** As our clients know it: from configuration, never from `Host`. */
  readonly url: string;
  /** The access token that came with it. */
  readonly accessToken?: string | undefined;
}

/**
 * Proves that whoever sends this request holds a key, and resolves to the key's thumbprint (RFC 7638). Rejects with an
 * `OAuthError` `dpop.…`, or `server.replay_guard_unavailable` where it cannot know whether the proof was used before.
 */
export type VerifyDpop = (shown: ShownProof, nowMillis: number) => Promise<{ readonly jkt: string }>;

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Makes signatures with one key. Errors mean that no signature was made. */
export interface Signer {
  readonly kid: string;
  /** JWS algorithm, RFC 7518 §3.1. */
  readonly algorithm: TokenAlgorithm;
  sign(input: Uint8Array): Promise<Uint8Array>;
}

export interface PublicJwk {
  readonly kty: string;
  readonly kid: string;
  readonly alg: string;
  readonly use: 'sig';
  readonly [member: string]: string;
}

/** The keys that this issuer signs with and publishes (RFC 7517). */
export interface KeyRing {
  /** The key that signs now; ES256 where none is named. Throws `server.signer_unavailable` where there is none. */
  signer(algorithm?: TokenAlgorithm): Signer;
  publicKeys(): readonly PublicJwk[];
}

/** A key ring whose keys other replicas may change. */
export interface RefreshableKeyRing extends KeyRing {
  /** Takes over what the store holds now, and does there what is due; a failed refresh leaves the ring as it was, and rejects. */
  refresh(): Promise<void>;
}

/** A key ring that an administrator may turn, for all replicas. */
export interface TurningKeyRing extends RefreshableKeyRing {
  list(): readonly PlannedKey[];
  /** Lets the next keys sign as soon as they were published long enough; in an emergency at once. */
  rotate(isEmergency: boolean): Promise<void>;
  /**
   * The key is published no more and never signs again; where it was signing, the next one does at once, or one made
   * for it. An unknown one is none to revoke. Rejects with `admin.keys_conflict` where others changed the keys meanwhile.
   */
  revoke(kid: string): Promise<void>;
}

/** What is revoked, as this replica knows it: from memory, at once. */
export interface Revocations {
  /** What revokes the token, or undefined. */
  covers(token: TokenFacts): RevocationKind | undefined;
  /** What keeps the identity from new tokens now, or undefined. */
  refusesNew(identity: Vouched, nowMillis: number): 'identity' | 'issuer' | undefined;
  /** Changes with every revocation, on all replicas alike: what was kept under an older one is not to be used. */
  epoch(): number;
}

/** One revocation to be made. */
export type RevocationOrder = Omit<Revocation, 'id'> & {
  /** Made in its stead where the owner has too many tokens revoked; without it such a revocation is refused. */
  readonly instead?: Omit<Revocation, 'id'> | undefined;
  /** What the audit keeps of what was made, durable together with it or not at all. */
  readonly event: (made: Revocation) => AuditEvent;
};

export interface RevocationFilter {
  readonly kind?: RevocationKind | undefined;
  readonly target?: string | undefined;
  /** Only those with a lower id. */
  readonly below?: number | undefined;
  readonly limit: number;
}

export interface RevocationStore {
  /** The highest id of all, 0 where there are none; cheap enough to ask every second. */
  head(): Promise<number>;
  /** Those with a higher id, that may cover a living token at this time. */
  load(above: number, nowMillis: number): Promise<readonly Revocation[]>;
  /**
   * Makes the revocation and appends its event, both or neither; it stands for those made of the same target before. Throws
   * an `OAuthError` `server.revocations_full`, and `server.audit_unavailable` where the event is refused.
   */
  add(order: RevocationOrder): Promise<Revocation>;
  /** The latest first. */
  list(filter: RevocationFilter): Promise<readonly Revocation[]>;
  /** Calls back after another process may have revoked something (a hint, not a promise). Returns how to stop. */
  onChange(listener: () => void): () => void;
}

export interface StoredKey {
  readonly kid: string;
  readonly algorithm: TokenAlgorithm;
  readonly state: 'next' | 'active' | 'retiring';
  readonly publicJwk: PublicJwk;
  /** What its holder opens the private key by: the key itself, encrypted, or where it is in a token. */
  readonly wrappedPrivateKey: Uint8Array;
  readonly createdAt: number;
  /** From when it signs, in milliseconds since the epoch; until its successor does. */
  readonly activatesAt: number;
  /** Of the set that it was read in, where its store counts: higher after each key that comes or goes. Ignored when stored. */
  readonly sequence?: number;
}

/** A key and how its life goes on, in milliseconds since the epoch, as far as it is known. */
export interface PlannedKey extends StoredKey {
  /** When its successor begins to sign. */
  readonly retiresAt?: number;
  /** When it is published no more. */
  readonly leavesAt?: number;
}

export interface KeyStore {
  /** All keys to publish; of each algorithm at most one is active. */
  list(): Promise<readonly StoredKey[]>;
  /** Makes the keys what `plan` says of them, whole or not at all; alone among all replicas while it does. Returns the keys after. */
  change(plan: (keys: readonly StoredKey[]) => readonly StoredKey[]): Promise<readonly StoredKey[]>;
}

/** A stored key that is ready to sign. */
export interface HeldKey {
  /** From the private key, never from the store. */
  readonly publicJwk: PublicJwk;
  readonly signer: Signer;
}

/** Where private keys are made and used: this process's memory, or a token that never gives them out. */
export interface KeyHolder {
  /** A new key that is not in the store yet. */
  make(algorithm: TokenAlgorithm, nowMillis: number): Promise<StoredKey>;
  /** Rejects where this holder did not make it: who can write to the store must not have a key of theirs published. */
  open(stored: StoredKey): Promise<HeldKey>;
  /** Told all keys that the store holds, so that others of its making can be destroyed. */
  keepOnly?(stored: readonly StoredKey[], nowMillis: number): Promise<void>;
  /** The keys as this holder would store them now. */
  rewrap?(keys: readonly StoredKey[], nowMillis: number): readonly StoredKey[];
  /** Told what is stored after each reading. */
  note?(stored: readonly StoredKey[]): void;
}

/** Remembers one-time credentials among all replicas. */
export interface ReplayGuard {
  /** True for the first caller with this key before `expiresAt` (milliseconds since the epoch), false for every later one. Throws when it cannot know. */
  claim(key: string, expiresAt: number): Promise<boolean>;
}

/** Counts among all replicas within a fixed window. */
export interface RateCounter {
  /** Adds one and returns the count within the current window. */
  increment(key: string, windowSeconds: number): Promise<number>;
}

/** Keeps what may be lost: other issuers' public keys as last fetched, over restarts and among replicas. */
export interface KeyCache {
  /** The value put last, while its time has not passed. Rejects when it cannot know. */
  get(name: string): Promise<string | undefined>;
  put(name: string, value: string, ttlSeconds: number): Promise<void>;
}

/** Keeps sealed tokens for reuse, and may lose any of them. A wait is a few tens of milliseconds at most. */
export interface TokenCache {
  /** The bytes put last, while their time has not passed. Rejects when it cannot know in time. */
  get(name: string): Promise<Uint8Array | undefined>;
  put(name: string, sealed: Uint8Array, ttlSeconds: number): Promise<void>;
}

export interface AuditSink {
  /** Resolves once the event is durable; rejects when it is not known to be. */
  append(event: AuditEvent): Promise<void>;
}

/** What an event must be to be listed; what is absent leaves nothing out. */
export interface AuditFilter {
  readonly identity?: string | undefined;
  readonly resource?: string | undefined;
  readonly outcome?: Outcome | undefined;
  readonly reason?: string | undefined;
  readonly action?: string | undefined;
  /** Milliseconds since the epoch: not before the one, and before the other. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** Where an event stands among all: no two share it, and later events come before it. */
export type AuditPosition = Pick<AuditEvent, 'at' | 'requestId'>;

export interface AuditPage {
  readonly limit: number;
  /** The last event of the page before. */
  readonly after?: AuditPosition | undefined;
}

export interface AuditLog {
  find(requestId: string): Promise<AuditEvent | undefined>;
  /** The newest first; fewer than the limit only where there are no more. */
  list(filter: AuditFilter, page: AuditPage): Promise<readonly AuditEvent[]>;
}

export interface FetchedDocument {
  readonly status: number;
  readonly body: string;
  /** `max-age` of Cache-Control in seconds, where there is one. */
  readonly maxAgeSeconds?: number;
}

export interface FetchOptions {
  /** Hosts that may resolve to private or loopback addresses because a document names them. */
  readonly allowPrivateHosts?: readonly string[];
  readonly accept?: string;
  /** Authenticates the server as a workload in place of a web site (SPIFFE Federation §5.2.2). */
  readonly spiffeServer?: SpiffeServer;
}

/** A server that proves itself by an X.509-SVID of exactly this SPIFFE ID, under these roots (PEM) and no others. */
export interface SpiffeServer {
  readonly spiffeId: string;
  readonly roots: readonly string[];
}

/** GET over https (http on loopback only): no redirects, no proxy, bounded time and size. Throws on any of them. */
export type FetchDocument = (url: string, options?: FetchOptions) => Promise<FetchedDocument>;

/** What the SPIFFE Workload API of a local agent says. */
export interface BundleState {
  /** The text of each trust domain's bundle, by its name; a trust domain that is not in it is trusted for nothing. Undefined before the first answer. */
  readonly bundles: ReadonlyMap<string, string> | undefined;
  /** Whether the agent would tell us of a change. */
  readonly isLive: boolean;
  /** Why not. */
  readonly problem: unknown;
}

/** Calls back at once, and with the whole state after each change, until the returned function is called. */
export type WatchBundles = (socket: string, watcher: (state: BundleState) => void) => () => void;
/** A call that proves a credential. Its URL never comes from a request. */
export interface PlatformCall {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Hosts that may resolve to private or loopback addresses because a document names them. */
  readonly allowPrivateHosts?: readonly string[];
  /** PEM; trusted for this call in place of the system's authorities. */
  readonly caCertificate?: string;
}

/** One call under the rules of `FetchDocument`, its answer at most 64 KiB. Throws on any of them; the error holds no header or body. */
export type CallPlatform = (
  call: PlatformCall,
) => Promise<{ readonly status: number; readonly body: string }>;

/** The token in a file that its platform renews; read anew each time. Throws for what is no file or no JWT, without its text. */
export type ReadTokenFile = (path: string) => Promise<string>;
