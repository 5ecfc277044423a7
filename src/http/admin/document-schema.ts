/** What the routes of single documents read and answer. */
import { z } from 'zod';
import { type Kind, nameSchema } from '../../core/policy/document.ts';
import { PolicyRefused } from '../../core/policy/refused.ts';
import { documentLabel, documentName, type PolicySource } from '../../core/policy/source.ts';
import { spiffeIdSchema } from './spiffe-id-schema.ts';

const etagSchema = z
  .string()
  .regex(/^(\*|"[\w-]{43}")$/, 'must be one ETag of GET as it was sent, or *')
  .optional();

const filterText = z
  .string()
  .min(1)
  .max(256)
  .regex(/^\P{Cc}*$/u, 'must hold no control characters');
const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().min(1).max(400).optional().describe('`next_cursor` of the page before.'),
  label: z
    .union([filterText, z.array(filterText).max(20)])
    .optional()
    .describe('`key:value`; repeated, all of them.'),
  text: filterText.optional().describe('In any string of the document, whatever its case.'),
});
/** What only grants can be looked up by. */
export const grantFilterSchema = z.object({
  resource: nameSchema.optional().describe('The resource that the grant is for.'),
  subject: spiffeIdSchema
    .optional()
    .describe('A SPIFFE ID that a subject of the grant covers, or that its issuer’s template can give.'),
});
const grantListQuery = listQuery.extend(grantFilterSchema.shape);

export const documentParams = z.object({ name: nameSchema });
export const putHeaders = z.looseObject({
  'if-match': etagSchema,
  'if-none-match': z.literal('*', 'only * is understood').optional(),
});
export const deleteHeaders = z.looseObject({ 'if-match': etagSchema });

/** The query of a list: grants can also be looked up by their resource and subject. */
export function listQueryOf(kind: Kind) {
  return kind === 'Grant' ? grantListQuery : listQuery;
}

/** The one document of a body, where it is the one that the path names. Throws PolicyRefused otherwise. */
export function requireNamed(sources: readonly PolicySource[], kind: Kind, name: string): PolicySource {
  const [source, another] = sources;
  if (source === undefined || another !== undefined) {
    const message = `the body must hold one document, not ${sources.length}`;
    throw new PolicyRefused([{ document: `${kind}/${name}`, field: '', message }]);
  }
  const named = documentName(source.value);
  if (named?.kind === kind && named.name === name) return source;
  const field = named === undefined || named.kind !== kind ? ['kind'] : ['metadata', 'name'];
  const message = `the path is that of ${kind}/${name}, so kind and metadata.name must say the same`;
  throw new PolicyRefused([
    { document: documentLabel(source.value), field: field.join('.'), ...source.locate(field), message },
  ]);
}
