/** What the revocation routes read and answer. */
import { z } from 'zod';
import type { Revocation, RevocationKind } from '../../core/revocation.ts';
import { AdminProblem } from './problem.ts';

const name = z.string().min(1).max(2048);
const kinds = ['token', 'identity', 'issuer', 'key'] as const satisfies readonly RevocationKind[];

export const revocationOrderSchema = z
  .strictObject({
    jti: name.optional().describe('One token, by its `jti`.'),
    identity: name.optional().describe('A SPIFFE ID: every token in which it is subject, client or actor.'),
    issuer: name
      .optional()
      .describe(
        'The name of an Issuer or TrustDomain document: the tokens of every identity that it could give.',
      ),
    key: name.optional().describe('A `kid` that does not sign any more: every token that it signed.'),
    not_until: z.iso
      .datetime({ offset: true })
      .optional()
      .describe('For an identity or an issuer: no new tokens until then either. The last word stands.'),
    reason: z
      .string()
      .min(1)
      .max(1024)
      .regex(/^\P{Cc}*$/u, 'must hold no control characters')
      .optional(),
  })
  .refine(({ jti, identity, issuer, key }) => [jti, identity, issuer, key].filter(Boolean).length === 1, {
    message: 'give exactly one of jti, identity, issuer and key',
  })
  .refine(({ not_until: notUntil, identity, issuer }) => notUntil === undefined || (identity ?? issuer), {
    message: 'not_until is for an identity or an issuer',
  });

export type RevocationOrderBody = z.infer<typeof revocationOrderSchema>;

export const revocationListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().min(1).max(400).optional().describe('`next_cursor` of the page before.'),
  kind: z.enum(kinds).optional(),
  target: name.optional().describe('Exactly as in the answer.'),
});

export const revocationSchema = z
  .object({
    id: z.int(),
    kind: z.enum(kinds),
    target: z.string().describe('A `jti`, a SPIFFE ID, `Issuer/name` or `TrustDomain/name`, a `kid`.'),
    before: z.iso
      .datetime()
      .describe(
        'What was issued before is refused, and until then an identity or an issuer gets nothing new.',
      ),
    at: z.iso.datetime(),
    author: z.string(),
    reason: z.string().optional(),
    expires_at: z.iso.datetime().describe('No token that it covers is alive any more.'),
  })
  .meta({ id: 'Revocation', description: 'What no token is accepted of.' });

export const revocationPageSchema = z.object({
  revocations: z.array(revocationSchema).describe('The latest first.'),
  next_cursor: z.string().optional().describe('Absent on the last page.'),
});

/** Its names on the wire. */
export function revocationBody(revocation: Revocation): z.infer<typeof revocationSchema> {
  const { id, kind, target, before, at, author, reason, expiresAt } = revocation;
  return {
    id,
    kind,
    target,
    before: new Date(before).toISOString(),
    at: new Date(at).toISOString(),
    author,
    ...(reason === undefined ? {} : { reason }),
    expires_at: new Date(expiresAt).toISOString(),
  };
}

/** What the body names. */
export function namedIn({ jti, identity, issuer, key }: RevocationOrderBody): {
  readonly kind: RevocationKind;
  readonly name: string;
} {
  if (jti !== undefined) return { kind: 'token', name: jti };
  if (identity !== undefined) return { kind: 'identity', name: identity };
  if (issuer !== undefined) return { kind: 'issuer', name: issuer };
  return { kind: 'key', name: key ?? '' };
}

/** Goes on below this id. */
export function cursorOf(id: number): string {
  return Buffer.from(String(id)).toString('base64url');
}

/** Throws an AdminProblem on a cursor that is none of ours. */
export function idFromCursor(cursor: string): number {
  const text = Buffer.from(cursor, 'base64url').toString();
  if (/^[1-9]\d{0,14}$/.test(text) && cursorOf(Number(text)) === cursor) return Number(text);
  throw new AdminProblem('malformed-request', {
    detail: 'cursor: send next_cursor of a page as it was given',
  });
}
