/** What the list of audit events is asked for: its filters, and the cursor that goes on where a page ended. */
import { z } from 'zod';
import type { AuditFilter, AuditPosition } from '../../core/ports.ts';
import { AdminProblem } from './problem.ts';
import { spiffeIdSchema } from './spiffe-id-schema.ts';

const latestMillis = Date.UTC(9999, 11, 31); // what an ISO 8601 year of four digits can say, and PostgreSQL can read

const word = z
  .string()
  .max(253)
  .regex(/^[\w.:-]+$/, 'must be letters, digits, ".", "_", ":" and "-"');
const time = z.iso
  .datetime({ offset: true })
  .refine((text) => isTime(Date.parse(text)), 'must be a time from 1970 to 9999');

export const auditEventsQuery = z.strictObject({
  identity: spiffeIdSchema.optional().describe('The SPIFFE ID that was proven.'),
  resource: word.optional().describe('The name of the Resource document.'),
  outcome: z.enum(['permitted', 'refused', 'failed']).optional(),
  reason: word.optional().describe('As in `credential.expired`.'),
  action: word.optional().describe('`token.exchange`, or what an admin did, as in `admin.policy.replace`.'),
  since: time.optional().describe('RFC 3339: this moment or later.'),
  until: time.optional().describe('RFC 3339: before this moment.'),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .optional()
    .describe('Events of a page, 50 by default; an export has no pages.'),
  cursor: z.string().min(1).max(100).optional().describe('`next_cursor` of the page before.'),
});

export function auditFilterOf(query: z.infer<typeof auditEventsQuery>): AuditFilter {
  const { since, until, limit: _, cursor: __, ...equal } = query;
  return {
    ...equal,
    ...(since === undefined ? {} : { since: Date.parse(since) }),
    ...(until === undefined ? {} : { until: Date.parse(until) }),
  };
}

/** The filters as one line for the audit. */
export function describeFilter({ limit: _, cursor: __, ...filters }: z.infer<typeof auditEventsQuery>) {
  const parts = Object.entries(filters).map(([name, value]) => `${name} ${value}`);
  return parts.length === 0 ? '' : ` with ${parts.join(', ')}`;
}

/** Opaque to its reader. It opens nothing: whoever sends it could ask for the same events without it. */
export function cursorOf({ at, requestId }: AuditPosition): string {
  return Buffer.from(`${at} ${requestId}`).toString('base64url');
}

/** Throws an AdminProblem on a cursor that is none of ours. */
export function positionOf(cursor: string): AuditPosition {
  const text = Buffer.from(cursor, 'base64url').toString();
  const { at, requestId = '' } = /^(?<at>\d{1,15}) (?<requestId>[0-9a-f-]{36})$/.exec(text)?.groups ?? {};
  const position = { at: Number(at), requestId };
  if (isTime(position.at) && z.guid().safeParse(requestId).success && cursorOf(position) === cursor) {
    return position;
  }
  throw new AdminProblem('malformed-request', {
    detail: 'cursor: send next_cursor of a page as it was given',
  });
}

function isTime(millis: number): boolean {
  return millis >= 0 && millis <= latestMillis;
}
