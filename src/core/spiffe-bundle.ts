/** The bundle of our own trust domain (SPIFFE Trust Domain and Bundle §4): whose signatures under our JWT-SVIDs count. */
import type { KeyLife } from './key-life.ts';
import type { TurningKeyRing } from './ports.ts';

export interface SpiffeBundle {
  /** None: nobody may vouch for our trust domain. */
  readonly keys: readonly { readonly kty: string; readonly use: 'jwt-svid'; readonly kid: string }[];
  readonly spiffe_sequence: number;
  /** Seconds. */
  readonly spiffe_refresh_hint: number;
}

const longestHintSeconds = 300; // SPIFFE Federation §4.1

/** SPIFFE Federation §4.1: a key is published for 3 to 5 of these before it signs. */
export function refreshHintSeconds({ prepublishSeconds }: KeyLife): number {
  return Math.min(longestHintSeconds, Math.floor(prepublishSeconds / 5));
}

export function spiffeBundle(
  ring: Pick<TurningKeyRing, 'publicKeys' | 'list'>,
  refreshHint: number,
): SpiffeBundle {
  return {
    keys: ring.publicKeys().map((jwk) => ({ ...jwk, use: 'jwt-svid' })),
    spiffe_sequence: Math.max(0, ...ring.list().map(({ sequence = 0 }) => sequence)),
    spiffe_refresh_hint: refreshHint,
  };
}
