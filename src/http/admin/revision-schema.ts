/** What the routes of the policy's history read and answer. */
import { z } from 'zod';
import type { PolicyRevision } from '../../core/policy-store.ts';
import { AdminProblem } from './problem.ts';

const revisionNumber = z
  .string()
  .regex(/^[1-9]\d{0,14}$/, 'must be the number of a revision')
  .transform(Number);
const lastMoment = Date.UTC(9999, 11, 31);
/** Milliseconds since the epoch, within what every store can say. */
const moment = z.iso
  .datetime({ offset: true })
  .transform((text) => Math.min(Math.max(Date.parse(text), 0), lastMoment))
  .optional();

export const revisionParams = z.object({ revision: revisionNumber });

export const revisionListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().min(1).max(400).optional().describe('`next_cursor` of the page before.'),
  author: z
    .string()
    .min(1)
    .max(2048)
    .regex(/^\P{Cc}*$/u, 'must hold no control characters')
    .optional()
    .describe('Who made the change.'),
  since: moment.describe('RFC 3339; changes at that time or later.'),
  until: moment.describe('RFC 3339; changes before that time.'),
});

export const revisionViewQuery = z.strictObject({
  view: z
    .enum(['diff', 'documents'])
    .default('diff')
    .describe('`documents`: the whole policy as it stood then, in place of what changed.'),
});

export const rollbackQuery = z.strictObject({
  dryRun: z.enum(['true', 'false']).optional().describe('`true`: only say what would change.'),
});

export const revisionSchema = z.object({
  revision: z.int(),
  at: z.iso.datetime(),
  author: z.string(),
  reason: z.string().optional(),
});

export const revisionPageSchema = z.object({
  revisions: z.array(revisionSchema).describe('Newest first.'),
  next_cursor: z.string().optional().describe('Absent on the last page.'),
});

/** The revision's names on the wire. */
export function revisionBody({
  revision,
  at,
  author,
  reason,
}: PolicyRevision): z.infer<typeof revisionSchema> {
  return {
    revision,
    at: new Date(at).toISOString(),
    author,
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Goes on below this revision. */
export function cursorOf(revision: number): string {
  return Buffer.from(String(revision)).toString('base64url');
}

/** Throws an AdminProblem on a cursor that is none of ours. */
export function revisionFromCursor(cursor: string): number {
  const read = revisionNumber.safeParse(Buffer.from(cursor, 'base64url').toString());
  if (read.success && cursorOf(read.data) === cursor) return read.data;
  throw new AdminProblem('malformed-request', {
    detail: 'cursor: send next_cursor of a page as it was given',
  });
}
