/** The policy as the REST API reads and shows it, and the one place where its names change case. */
import { z } from 'zod';
import type { PolicyReplaced } from '../../core/policy/book.ts';
import type { PolicyDiff } from '../../core/policy/diff.ts';
import { documentSchemas, type Kind, kinds, type StoredDocument } from '../../core/policy/document.ts';
import type { FoldedAttempt, ReplaySummary } from '../../core/replay.ts';
import { policyProblemSchema } from './problem.ts';

const kindSchema = z.enum(Object.keys(documentSchemas) as [Kind, ...Kind[]]);
const namedSchema = z.object({ kind: kindSchema, name: z.string() }).meta({ id: 'DocumentName' });

export const documentSchema = z.record(z.string(), z.unknown()).meta({
  id: 'PolicyDocument',
  description: `A document of apiVersion mintmark/v1 and kind ${kinds.join(', ')}.`,
  examples: [
    {
      apiVersion: 'mintmark/v1',
      kind: 'Grant',
      metadata: { name: 'orders-reads-inventory' },
      spec: {
        subjects: [{ prefix: 'spiffe://prod.example/orders' }],
        resource: 'inventory',
        scopes: ['items:read'],
      },
    },
  ],
});

export const policySchema = z
  .object({
    revision: z.int(),
    documents: z.array(documentSchema).describe('As their authors wrote them.'),
    managed_by_file: z.array(namedSchema).describe('Documents that only the operator’s file may change.'),
  })
  .meta({ id: 'Policy' });

export const policyBodySchema = z
  .strictObject({
    documents: z.array(z.unknown()).describe('The whole policy that is not managed by file.'),
    revision: z.int().optional().describe('As in `If-Match`: the revision that the change was made on.'),
    managed_by_file: z.array(z.unknown()).optional().describe('Ignored, so that what GET gives can be sent.'),
  })
  .describe('JSON of at most 16 MiB; or the same documents as YAML of at most 256 KiB.');

export const diffSchema = z
  .object({
    added: z.array(namedSchema),
    removed: z.array(namedSchema),
    changed: z.array(
      namedSchema.extend({
        fields: z.array(
          z.object({ field: z.string(), before: z.unknown().optional(), after: z.unknown().optional() }),
        ),
      }),
    ),
  })
  .meta({ id: 'PolicyDiff' });

const replayedSchema = z.object({
  request_id: z.string().describe('Of the newest.'),
  identity: z.string(),
  audience: z.string().optional(),
  before: z.string().describe('The reason of a refusal, or `permitted`.'),
  after: z.string(),
  count: z.int().describe('How many were alike.'),
});

const replaySchema = z
  .object({
    looked_at: z.int().describe('Attempts that had reached a decision.'),
    newly_permitted: z.array(replayedSchema).describe('At most 50.'),
    newly_permitted_total: z.int().describe('Of attempts, those that are not listed included.'),
    newly_refused: z.array(replayedSchema).describe('At most 50.'),
    newly_refused_total: z.int().describe('Of attempts, those that are not listed included.'),
    unknown: z.int().describe('Attempts of which the audit keeps too little to tell.'),
  })
  .meta({ id: 'PolicyReplay' });

export const replacedSchema = z
  .object({
    revision: z.int().describe('In force now; after a dry run, the one before.'),
    diff: diffSchema,
    warnings: z
      .array(policyProblemSchema)
      .describe('What the authors of the whole policy should know, though it is taken.'),
    replay: replaySchema.optional(),
  })
  .meta({ id: 'PolicyReplaced' });

export const ifMatchSchema = z
  .string()
  .regex(/^(\*|"\d{1,15}")$/, 'must be an ETag of GET as it was sent, such as "7", or *')
  .optional();

export const replaceQuerySchema = z.strictObject({
  dryRun: z.enum(['true', 'false']).optional().describe('`true`: only say what would change.'),
  replay: z.coerce
    .number()
    .int()
    .min(0)
    .max(1000)
    .optional()
    .describe(
      'In a dry run: decide this many of the latest exchanges again, and say which would change. Needs `audit:read` besides.',
    ),
  reason: z
    .string()
    .max(1024)
    .regex(/^\P{Cc}*$/u, 'must hold no control characters')
    .optional()
    .describe('Why, for the policy’s history and the audit.'),
});

/** The policy's names on the wire. */
export function policyBody(
  revision: number,
  documents: readonly StoredDocument[],
): z.infer<typeof policySchema> {
  return {
    revision,
    documents: documents.map(({ body }) => documentSchema.parse(body)),
    managed_by_file: documents
      .filter(({ managedBy }) => managedBy === 'file')
      .map(({ kind, name }) => ({ kind, name })),
  };
}

/** The diff's names on the wire. */
export function diffBody({ added, removed, changed }: PolicyDiff): z.infer<typeof diffSchema> {
  return {
    added: added.map(({ kind, name }) => ({ kind, name })),
    removed: removed.map(({ kind, name }) => ({ kind, name })),
    changed: changed.map(({ kind, name, fields }) => ({
      kind,
      name,
      fields: fields.map((change) => fieldSchema.parse(change)),
    })),
  };
}

/** The change as the API answers it. A file on the server is none of the caller's. */
export function replacedBody({ revision, diff, snapshot }: PolicyReplaced): z.infer<typeof replacedSchema> {
  return {
    revision,
    diff: diffBody(diff),
    warnings: snapshot.warnings.map(({ file: _, ...problem }) => problem),
  };
}

/** The replay's names on the wire. */
export function replayBody(summary: ReplaySummary): z.infer<typeof replaySchema> {
  return {
    looked_at: summary.lookedAt,
    newly_permitted: summary.newlyPermitted.map(replayedBody),
    newly_permitted_total: summary.newlyPermittedTotal,
    newly_refused: summary.newlyRefused.map(replayedBody),
    newly_refused_total: summary.newlyRefusedTotal,
    unknown: summary.unknown,
  };
}

function replayedBody(attempt: FoldedAttempt): z.infer<typeof replayedSchema> {
  const { requestId, identity, audience, before, after, count } = attempt;
  return {
    request_id: requestId,
    identity,
    ...(audience === undefined ? {} : { audience }),
    before,
    after,
    count,
  };
}

const fieldSchema = diffSchema.shape.changed.element.shape.fields.element;
