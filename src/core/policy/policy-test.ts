/** PolicyTest documents: what given callers are expected to get. They are run, never stored. */
import { z } from 'zod';
import { reasons } from '../error.ts';
import type { JsonObject } from '../json.ts';
import { tokenFormats } from '../token-format.ts';
import { readDocument } from './check.ts';
import { apiVersion, durationSchema, metadataSchema } from './document.ts';
import { quote, suggest } from './nearest-word.ts';
import type { Problems } from './problems.ts';
import type { PolicySource } from './source.ts';

const knownReasons = Object.keys(reasons);
const claimsSchema = z.record(z.string(), z.json());

const partyFields = {
  spiffeId: z.string().optional(),
  issuer: z.string().optional(),
  claims: claimsSchema.optional(),
};

export interface SupposedParty {
  readonly spiffeId?: string | undefined;
  readonly issuer?: string | undefined;
  readonly claims?: JsonObject | undefined;
}

const one = {
  check: ({ spiffeId, issuer }: SupposedParty) => (spiffeId === undefined) !== (issuer === undefined),
  message: 'give exactly one of spiffeId and issuer',
};
const signed = {
  check: ({ issuer, claims }: SupposedParty) => issuer === undefined || claims !== undefined,
  message: 'give the claims that the issuer is supposed to have signed',
};

const subjectSchema = z
  .strictObject({ ...partyFields, scope: z.string().optional() })
  .refine(one.check, one.message)
  .refine(signed.check, signed.message);
const actorSchema = z
  .strictObject(partyFields)
  .refine(one.check, one.message)
  .refine(signed.check, signed.message);

const givenSchema = z
  .strictObject({ ...partyFields, subject: subjectSchema.optional(), actor: actorSchema.optional() })
  .refine(one.check, one.message)
  .refine(signed.check, signed.message)
  .refine(({ subject, actor }) => actor === undefined || subject !== undefined, {
    message: 'an actor acts for a subject: give that too',
  });

const ofTokens = ['scope', 'audience', 'lifetime', 'claims', 'actors', 'grants'] as const;

const expectSchema = z
  .strictObject({
    permit: z.boolean(),
    reason: z
      .string()
      .refine((reason) => knownReasons.includes(reason), {
        error: ({ input }) =>
          `there is no reason ${quote(String(input))}: ${suggest(String(input), knownReasons)}`,
      })
      .optional(),
    subject: z.string().optional(),
    scope: z.string().optional(),
    audience: z.string().optional(),
    lifetime: durationSchema.optional(),
    claims: claimsSchema.optional(),
    actors: z.array(z.string()).optional(),
    grants: z.array(z.string()).optional(),
  })
  .superRefine((expected, { addIssue }) => {
    const misplaced = expected.permit ? (['reason'] as const) : ofTokens;
    const sentence = expected.permit
      ? 'is of a refusal, and permit is true'
      : 'is of a token, and permit is false';
    for (const field of misplaced) {
      if (expected[field] !== undefined) addIssue({ code: 'custom', path: [field], message: sentence });
    }
  });

const caseSchema = z.strictObject({
  name: z.string().min(1).max(256).optional(),
  given: givenSchema,
  request: z
    .strictObject({
      audience: z.string().optional(),
      scope: z.string().optional(),
      additional_claims: claimsSchema.optional(),
      tokenFormat: z.enum(tokenFormats).optional(),
      proof: z.enum(['dpop', 'mtls']).optional(),
    })
    .default({}),
  at: z.iso.datetime({ offset: true }).optional(),
  expect: expectSchema,
});

const testSchemas = {
  PolicyTest: z.strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('PolicyTest'),
    metadata: metadataSchema,
    spec: z.array(caseSchema).min(1, 'a PolicyTest without a case tests nothing: write one'),
  }),
};

export type PolicyTestDocument = z.infer<typeof testSchemas.PolicyTest>;
export type PolicyTestCase = PolicyTestDocument['spec'][number];

export interface PolicyTest {
  readonly source: PolicySource;
  readonly document: PolicyTestDocument;
}

/** The tests that fit their schema; what is wrong with the others goes to `problems`. */
export function checkPolicyTests(
  sources: readonly PolicySource[],
  problems: Problems,
): readonly PolicyTest[] {
  const names = new Set<string>();
  return sources.flatMap((source) => {
    const document = readDocument(source, testSchemas, problems);
    if (document === undefined) return [];
    const { name } = document.metadata;
    if (names.has(name)) problems.add(source, ['metadata', 'name'], 'another PolicyTest has this name');
    names.add(name);
    return [{ source, document }];
  });
}
