/** The wire's names of our signing keys, and of what a turn of them changed. */
import { z } from 'zod';
import type { KeyChange } from '../../core/key-changes.ts';
import type { PlannedKey, PublicJwk } from '../../core/ports.ts';

const stateSchema = z
  .enum(['next', 'active', 'retiring'])
  .describe('`next` is published and does not sign yet; `active` signs; `retiring` only verifies.');

export const keySchema = z.object({
  kid: z.string(),
  alg: z.string(),
  use: z.string(),
  state: stateSchema,
  created_at: z.iso.datetime(),
  activates_at: z.iso.datetime().describe('From when it signs.'),
  retires_at: z.iso.datetime().optional().describe('When its successor begins to sign.'),
  leaves_at: z.iso.datetime().optional().describe('When it leaves the JWK set.'),
  public_jwk: z.record(z.string(), z.string()).describe('As in the JWK set (RFC 7517).'),
});

export const keyListSchema = z.object({ keys: z.array(keySchema) });

export const turnedSchema = keyListSchema.extend({
  changes: z.array(
    z.object({
      kid: z.string(),
      alg: z.string(),
      was: stateSchema.optional().describe('Absent where the key is new.'),
      is: stateSchema.optional().describe('Absent where the key is gone.'),
      activates_at: z.iso.datetime(),
    }),
  ),
});

const reasonSchema = z
  .string()
  .max(1024)
  .regex(/^\P{Cc}*$/u, 'must hold no control characters')
  .optional()
  .describe('Why, for the audit.');

export const rotateBodySchema = z
  .strictObject({
    emergency: z
      .boolean()
      .optional()
      .describe('`true`: the next keys sign at once, though resource servers may not know them yet.'),
    reason: reasonSchema,
  })
  .nullish(); // no body at all is read as null

export const revokeBodySchema = z.strictObject({ reason: reasonSchema }).nullish();

/** What we make are thumbprints of RFC 7638. */
export const kidParams = z.object({
  kid: z.string().regex(/^[\w-]{1,128}$/, 'must be the kid of a key'),
});

export function keyBody(key: PlannedKey, publicJwk: PublicJwk): z.infer<typeof keySchema> {
  const { kid, algorithm, state, createdAt, activatesAt, retiresAt, leavesAt } = key;
  return {
    kid,
    alg: algorithm,
    use: publicJwk.use,
    state,
    created_at: timeOf(createdAt),
    activates_at: timeOf(activatesAt),
    ...(retiresAt === undefined ? {} : { retires_at: timeOf(retiresAt) }),
    ...(leavesAt === undefined ? {} : { leaves_at: timeOf(leavesAt) }),
    public_jwk: { ...publicJwk },
  };
}

export function changeBody({ kid, algorithm, was, is, activatesAt }: KeyChange) {
  return { kid, alg: algorithm, was, is, activates_at: timeOf(activatesAt) };
}

function timeOf(millis: number): string {
  return new Date(millis).toISOString();
}
