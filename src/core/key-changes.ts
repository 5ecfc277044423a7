/** What an administrator's turn of the keys did, for the answer and the audit. */
import type { StoredKey } from './ports.ts';

type KeyState = StoredKey['state'];

export interface KeyChange {
  readonly kid: string;
  readonly algorithm: string;
  /** Undefined where the key is new. */
  readonly was: KeyState | undefined;
  /** Undefined where the key is gone. */
  readonly is: KeyState | undefined;
  /** From when it signs, in milliseconds since the epoch. */
  readonly activatesAt: number;
}

type Seen = Pick<StoredKey, 'kid' | 'algorithm' | 'state' | 'activatesAt'>;

/** Keys that came, went, or have another state or time than before. */
export function keyChanges(before: readonly Seen[], after: readonly Seen[]): readonly KeyChange[] {
  const gone = before.filter(({ kid }) => !after.some((key) => key.kid === kid));
  const others = after.flatMap((key) => {
    const known = before.find(({ kid }) => kid === key.kid);
    const isSame = known?.state === key.state && known.activatesAt === key.activatesAt;
    return isSame ? [] : [{ key, was: known?.state }];
  });
  return [
    ...gone.map((key) => ({ ...outline(key), was: key.state, is: undefined })),
    ...others.map(({ key, was }) => ({ ...outline(key), was, is: key.state })),
  ];
}

/** One line, as in `ES256 kid-1 active → retiring; ES256 kid-2 next → active`. */
export function describeKeyChanges(changes: readonly KeyChange[]): string {
  if (changes.length === 0) return 'nothing changed';
  return changes
    .map(({ kid, algorithm, was, is, activatesAt }) => {
      const from = is === 'next' ? `, signs from ${new Date(activatesAt).toISOString()}` : '';
      return `${algorithm} ${kid} ${was ?? 'new'} → ${is ?? 'gone'}${from}`;
    })
    .join('; ');
}

function outline({ kid, algorithm, activatesAt }: Seen) {
  return { kid, algorithm, activatesAt };
}
