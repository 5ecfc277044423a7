/** The life of keys as the server has it by default, for rings that a test opens itself. */
import type { KeyLife } from '../../src/core/key-life.ts';

const daySeconds = 86_400;

export const testKeyLife: KeyLife = {
  rotationSeconds: 30 * daySeconds,
  prepublishSeconds: daySeconds,
  retentionSeconds: 2 * daySeconds,
};
