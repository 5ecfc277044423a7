/** How long signing keys live, and which settings would let a token fail to verify. */
import { jwksMaxAgeSeconds } from './discovery.ts';

/** How far the clocks of replicas and resource servers may be apart. */
const clockSkewSeconds = 60;
export const longestTokenSeconds = 86_400;

export interface KeyLife {
  /** From one key's first signature to its successor's. */
  readonly rotationSeconds: number;
  /** How long a key is published before a planned rotation lets it sign. */
  readonly prepublishSeconds: number;
  /** How long a key is published after its successor began to sign. */
  readonly retentionSeconds: number;
}

/** What is wrong with these settings, in sentences for the operator. */
export function keyLifeProblems(life: KeyLife): readonly string[] {
  const minPrepublish = jwksMaxAgeSeconds + clockSkewSeconds;
  const minRetention = longestTokenSeconds + clockSkewSeconds;
  return [
    ...(life.prepublishSeconds < minPrepublish
      ? [
          `MINTMARK_KEY_PREPUBLISH: must be at least ${minPrepublish}s, or a key would sign while resource servers hold a key set without it`,
        ]
      : []),
    ...(life.retentionSeconds < minRetention
      ? [
          `MINTMARK_KEY_RETENTION: must be at least ${minRetention}s, or a key would go before the last token that it signed`,
        ]
      : []),
    ...(life.rotationSeconds < life.prepublishSeconds
      ? ['MINTMARK_KEY_ROTATION: must not be shorter than MINTMARK_KEY_PREPUBLISH']
      : []),
  ];
}
