/** What a check of keys says that an issuer pushes for itself, with a token that its keys in force have verified. */
import type { Platform } from './platform.ts';
import type { InlineJwks } from './policy/inline-keys.ts';
import type { FieldProblem } from './policy/schema-sentences.ts';
import type { Secret } from './secret.ts';

/**
 * Everything that is wrong with the set, by fields within it: a key that would not be used, and the lack of the key that
 * signed the token of the push.
 */
export type CheckPushedKeys = (
  jwks: InlineJwks,
  token: Secret<string>,
  platform: Platform,
) => Promise<readonly FieldProblem[]>;
