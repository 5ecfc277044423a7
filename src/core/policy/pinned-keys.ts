/** Keys that stand in an Issuer document: how old they may become, and who may push newer ones. */
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import type { Platform } from '../platform.ts';
import type { IssuerDocument, StoredDocument } from './document.ts';
import type { InlineJwks } from './inline-keys.ts';
import type { FieldProblem } from './schema-sentences.ts';
import type { PolicyContext, PolicySnapshot, TrustedIssuer } from './snapshot.ts';
import type { SubjectTemplate } from './subject-template.ts';

type Spec = IssuerDocument['spec'];

const hourSeconds = 3600;
const daySeconds = 86_400;
const defaultWarnAfterSeconds = 90 * daySeconds;
/** RFC 7518 §6.2.1, §6.3.1 and RFC 8037 §2, and what tells keys apart. */
const publicMembers = ['kty', 'kid', 'use', 'alg', 'crv', 'x', 'y', 'n', 'e'] as const;

/** What is wrong with `keys.pushedBy`, `keys.asOf` and `keys.warnAfter`. */
export function pinnedKeysProblems(
  { keys, audiences, replay }: Spec,
  platform: Platform,
  subject: SubjectTemplate,
  context: PolicyContext,
): FieldProblem[] {
  if (keys.jwks === undefined) {
    return (['pushedBy', 'asOf', 'warnAfter'] as const)
      .filter((field) => keys[field] !== undefined)
      .map((field) => ({ path: ['keys', field], message: 'belongs beside jwks: other keys are fetched' }));
  }
  const { pushedBy } = keys;
  if (pushedBy === undefined) return [];
  const messages: string[] = [];
  if (!subject.canGive(pushedBy)) {
    messages.push(`is no path that this document's subject gives: ${subject.source}`);
  }
  if (audiences !== undefined && !audiences.includes(context.issuer)) {
    messages.push(`needs ${context.issuer} among audiences, which the token of a push is for`);
  }
  if (replay === 'once' || platform.isOneTime === true) {
    messages.push('cannot stand where each token is good for one use (replay: once)');
  }
  return messages.map((message) => ({ path: ['keys', 'pushedBy'], message }));
}

export interface PinnedKeysAge {
  readonly issuer: string;
  /** When somebody last said that these are the issuer's keys; undefined where the document does not tell. */
  readonly asOf: string | undefined;
  readonly ageSeconds: number | undefined;
  readonly warnAfterSeconds: number;
  readonly isOverdue: boolean;
}

/** The age of the keys of one issuer; undefined where they do not stand in its document. A time to come counts as now. */
export function pinnedKeysAge({ name, keys }: TrustedIssuer, nowMillis: number): PinnedKeysAge | undefined {
  if (keys.jwks === undefined) return undefined;
  const { asOf, warnAfter: warnAfterSeconds = defaultWarnAfterSeconds } = keys;
  const ageSeconds =
    asOf === undefined ? undefined : Math.max(0, Math.floor((nowMillis - Date.parse(asOf)) / 1000));
  const isOverdue = ageSeconds !== undefined && ageSeconds > warnAfterSeconds;
  return { issuer: name, asOf, ageSeconds, warnAfterSeconds, isOverdue };
}

/** Of all issuers whose keys stand in their documents. */
export function pinnedKeysAges({ issuers }: PolicySnapshot, nowMillis: number): readonly PinnedKeysAge[] {
  return [...issuers.values()].flat().flatMap((issuer) => pinnedKeysAge(issuer, nowMillis) ?? []);
}

/** Whether a push of the same keys should renew `asOf`: long before anybody is warned, and at most once an hour. */
export function isRenewalDue({ ageSeconds, warnAfterSeconds }: PinnedKeysAge): boolean {
  const renewAfterSeconds = Math.max(hourSeconds, Math.min(daySeconds, warnAfterSeconds / 4));
  return ageSeconds === undefined || ageSeconds >= renewAfterSeconds;
}

/** The public members of each key, and no other: nothing else that a pusher writes gets into the document. */
export function publicPartsOf({ keys }: InlineJwks): readonly JsonObject[] {
  return keys.map((key) =>
    Object.fromEntries(
      publicMembers.flatMap((member) => {
        const value = key[member];
        return typeof value === 'string' ? [[member, value]] : [];
      }),
    ),
  );
}

/** Whether both hold the same keys, in whatever order. */
export function areSameKeys(one: readonly JsonObject[], other: readonly JsonObject[]): boolean {
  const textOf = (keys: readonly JsonObject[]) =>
    JSON.stringify(keys.map((key) => JSON.stringify(key)).sort());
  return textOf(one) === textOf(other);
}

/** The Issuer document with these keys in place of its own, all else as its author wrote it. */
export function withPinnedKeys({ body }: StoredDocument, keys: readonly JsonObject[], asOf: string): Json {
  if (!isJsonObject(body) || !isJsonObject(body.spec) || !isJsonObject(body.spec.keys)) {
    throw new TypeError('an Issuer document without keys has none to replace');
  }
  return { ...body, spec: { ...body.spec, keys: { ...body.spec.keys, jwks: { keys: [...keys] }, asOf } } };
}
