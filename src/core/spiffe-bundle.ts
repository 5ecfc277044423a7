/** The bundle of our own trust domain (SPIFFE Trust Domain and Bundle §4): whose signatures under its SVIDs count. */
import type { KeyLife } from './key-life.ts';
import type { TurningKeyRing } from './ports.ts';

/** Authorities of X.509-SVIDs, which we publish and do not hold. */
export interface BundleRoots {
  readonly keys: readonly {
    readonly kty: string;
    readonly use: 'x509-svid';
    readonly x5c: readonly string[];
  }[];
  /** Milliseconds since the epoch. */
  readonly changedAt: number;
}

export interface SpiffeBundle {
  /** None: nobody may vouch for our trust domain. */
  readonly keys: readonly (
    | { readonly kty: string; readonly use: 'jwt-svid'; readonly kid: string }
    | BundleRoots['keys'][number]
  )[];
  readonly spiffe_sequence: number;
  /** Seconds. */
  readonly spiffe_refresh_hint: number;
}

const longestHintSeconds = 300; // SPIFFE Federation §4.1

/** SPIFFE Federation §4.1: a key is published for 3 to 5 of these before it signs. */
export function refreshHintSeconds({ prepublishSeconds }: KeyLife): number {
  return Math.min(longestHintSeconds, Math.floor(prepublishSeconds / 5));
}

/** Its sequence is when it changed last, in milliseconds since the epoch, or higher where clocks went back. */
export function spiffeBundle(
  ring: Pick<TurningKeyRing, 'publicKeys' | 'list'>,
  refreshHint: number,
  roots: BundleRoots = { keys: [], changedAt: 0 },
): SpiffeBundle {
  return {
    keys: [...ring.publicKeys().map((jwk) => ({ ...jwk, use: 'jwt-svid' as const })), ...roots.keys],
    spiffe_sequence: Math.max(roots.changedAt, ...ring.list().map(({ sequence = 0 }) => sequence)),
    spiffe_refresh_hint: refreshHint,
  };
}
