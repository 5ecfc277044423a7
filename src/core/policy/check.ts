/** Reads each document against its schema and finds out which names the policy declares. */
import type { z } from 'zod';
import { findUnsafe, isJsonObject } from '../json.ts';
import {
  apiVersion,
  documentSchemas,
  type GrantDocument,
  type IssuerDocument,
  type Kind,
  kinds,
  type PolicyDocument,
  type ResourceDocument,
  type TrustDomainDocument,
} from './document.ts';
import { quote, suggest } from './nearest-word.ts';
import { type Problems, placeOf } from './problems.ts';
import { describeIssues } from './schema-sentences.ts';
import { documentName, type PolicySource } from './source.ts';

export interface Checked<D extends PolicyDocument> {
  readonly source: PolicySource;
  readonly document: D;
}

export interface CheckedPolicy {
  readonly issuers: readonly Checked<IssuerDocument>[];
  readonly trustDomains: readonly Checked<TrustDomainDocument>[];
  readonly resources: readonly Checked<ResourceDocument>[];
  readonly grants: readonly Checked<GrantDocument>[];
  /** Whether a document of that name is there, even if something else is wrong with it: one mistake, one problem. */
  declares(kind: Kind, name: string): boolean;
}

/** Reads all documents; what is wrong goes to `problems`, and a document that does not fit its schema is left out. */
export function checkDocuments(sources: readonly PolicySource[], problems: Problems): CheckedPolicy {
  const declared = new Map<string, PolicySource>();
  const issuers: Checked<IssuerDocument>[] = [];
  const trustDomains: Checked<TrustDomainDocument>[] = [];
  const resources: Checked<ResourceDocument>[] = [];
  const grants: Checked<GrantDocument>[] = [];

  for (const source of sources) {
    const named = documentName(source.value);
    if (named !== undefined) {
      const key = `${named.kind}/${named.name}`;
      const first = declared.get(key);
      if (first !== undefined) {
        const message = `the name is taken by ${placeOf(first, ['metadata', 'name'])}: each ${named.kind} needs its own`;
        problems.add(source, ['metadata', 'name'], message);
        continue;
      }
      declared.set(key, source);
    }
    const document = readDocument(source, documentSchemas, problems);
    if (document?.kind === 'Issuer') issuers.push({ source, document });
    else if (document?.kind === 'TrustDomain') trustDomains.push({ source, document });
    else if (document?.kind === 'Resource') resources.push({ source, document });
    else if (document?.kind === 'Grant') grants.push({ source, document });
  }
  return {
    issuers,
    trustDomains,
    resources,
    grants,
    declares: (kind, name) => declared.has(`${kind}/${name}`),
  };
}

/** The document, of one of the kinds that have a schema here; undefined where `problems` says what is wrong with it. */
export function readDocument<Schemas extends Readonly<Record<string, z.ZodType>>>(
  source: PolicySource,
  schemas: Schemas,
  problems: Problems,
): z.infer<Schemas[keyof Schemas]> | undefined {
  const { value } = source;
  if (!isJsonObject(value)) {
    problems.add(source, [], `a policy document is a mapping with apiVersion, kind, metadata and spec`);
    return undefined;
  }
  const unsafe = findUnsafe(value);
  if (unsafe !== undefined) {
    problems.add(source, unsafe, 'a document holds no field named __proto__ and no more than 16 levels');
    return undefined;
  }
  if (value.apiVersion !== apiVersion) {
    problems.add(source, ['apiVersion'], `must be ${apiVersion}`);
    return undefined;
  }
  const { kind } = value;
  const schema = typeof kind === 'string' && Object.hasOwn(schemas, kind) ? schemas[kind] : undefined;
  if (schema === undefined) {
    problems.add(source, ['kind'], kindSentence(kind));
    return undefined;
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as z.infer<Schemas[keyof Schemas]>;
  for (const { path, message } of describeIssues(parsed.error.issues, schema, value)) {
    problems.add(source, path, message);
  }
  return undefined;
}

function kindSentence(kind: unknown): string {
  if (kind === 'PolicyTest') return 'a PolicyTest is run, never stored: keep it out of the policy itself';
  if (typeof kind !== 'string') return `is missing: write ${kinds.join(', ')}`;
  return `unknown kind ${quote(kind)}: ${suggest(kind, kinds)}`;
}
