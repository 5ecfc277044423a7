/** What the HTTP layer is given by `wire.ts`; routes take it as their plugin options and import no adapter. */
import type { FastifyRequest } from 'fastify';
import type { OAuthError } from '../core/error.ts';
import type { Exchange } from '../core/exchange.ts';
import type { Explain } from '../core/explain.ts';
import type { ForwardAuth } from '../core/forward-auth.ts';
import type { Introspect } from '../core/introspect.ts';
import type { CheckIssuer } from '../core/issuer-check.ts';
import type { CheckPushedKeys } from '../core/issuer-keys.ts';
import type { PolicyBook } from '../core/policy/book.ts';
import type { StoredDocument } from '../core/policy/document.ts';
import type { PolicySource } from '../core/policy/source.ts';
import type { PolicyHistory } from '../core/policy-store.ts';
import type { AuditLog, AuditSink, Clock, TurningKeyRing, Verify } from '../core/ports.ts';
import type { RefusalCap } from '../core/refusal-cap.ts';
import type { ReplayAttempts } from '../core/replay.ts';
import type { RevocationBook } from '../core/revocation-book.ts';
import type { Revoke } from '../core/revoke.ts';
import type { SpiffeBundle } from '../core/spiffe-bundle.ts';
import type { Authenticate } from './admin/admin-caller.ts';
import type { CertificateSources } from './forwarded-certificate.ts';
import type { ServerTls } from './server-tls.ts';

/** Names and limits that come from configuration, never from a request's `Host`. */
export interface HttpSettings extends CertificateSources {
  /** Our issuer identifier, without a trailing slash. */
  readonly issuer: string;
  /** Addresses of hops whose `X-Forwarded-For` counts; empty trusts none. */
  readonly trustedProxies: readonly string[];
  /** Our own certificate where we end TLS ourselves; undefined leaves that to a proxy. */
  readonly tls?: ServerTls | undefined;
  /** What `package.json` says. */
  readonly version: string;
}

/** Whether a client can show a certificate at all: in our own TLS handshake, or through a proxy's header. */
export function takesCertificates({ tls, certificateHeader }: HttpSettings): boolean {
  return tls !== undefined || certificateHeader !== undefined;
}

export interface ReadinessCheck {
  readonly name: string;
  /** Resolves when the dependency answers; rejects with why it does not. */
  readonly run: () => Promise<void>;
  /** Whether exchanges need it; without one that they do not need, the replica is degraded, and goes on. */
  readonly isEssential: boolean;
}

export interface HttpDependencies {
  readonly settings: HttpSettings;
  readonly clock: Clock;
  readonly exchange: Exchange;
  readonly checkIssuer: CheckIssuer;
  /** The same for a document that is not in force. */
  readonly checkUnsavedIssuer: CheckIssuer;
  readonly revoke: Revoke;
  readonly introspect: Introspect;
  readonly revocations: Pick<RevocationBook, 'revoke' | 'list'>;
  readonly verify: Verify;
  /** The leaf of what `presentedChain` finds. */
  readonly presentedCertificate: (request: FastifyRequest) => Uint8Array | undefined;
  /** What proofs must hold now; a time in milliseconds. */
  readonly dpopNonce: (nowMillis: number) => string;
  readonly checkPushedKeys: CheckPushedKeys;
  readonly explain: Explain;
  readonly replayAttempts: ReplayAttempts;
  readonly keyRing: TurningKeyRing;
  /** All rings that an administrator may turn, `keyRing` among them. */
  readonly keyRings: readonly TurningKeyRing[];
  /** Of our own trust domain, as it is now. */
  readonly spiffeBundle: () => SpiffeBundle;
  readonly policyBook: PolicyBook;
  readonly policyHistory: PolicyHistory;
  readonly readPolicyText: (text: string, options: { managedBy: 'rest' }) => readonly PolicySource[];
  /** YAML that `readPolicyText` reads back. */
  readonly writePolicyText: (documents: readonly StoredDocument[]) => string;
  readonly audit: AuditSink;
  readonly auditLog: AuditLog;
  readonly refusalCap: RefusalCap;
  readonly authenticate: Authenticate;
  readonly forwardAuth: ForwardAuth;
  /** Past it an address's refusals are no longer in an ordinary log; they stay refusals. */
  readonly forwardAuthCap: RefusalCap;
  readonly readiness: readonly ReadinessCheck[];
  readonly metrics: {
    readonly contentType: string;
    readonly text: () => Promise<string>;
    /** By the name of a Resource document, where one was named. */
    readonly countForwardAuth: (resource: string | undefined, refusal: OAuthError | undefined) => void;
  };
  /** Whether the process has begun to drain; a draining replica is not ready. */
  readonly isDraining: () => boolean;
}
