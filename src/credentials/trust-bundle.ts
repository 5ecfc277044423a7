/** SPIFFE trust bundles (SPIFFE Trust Domain and Bundle §4): the JWT authorities of one trust domain. */
import { X509Certificate } from 'node:crypto';
import { isJsonObject, type Json } from '../core/json.ts';
import { parseStrictJson } from '../core/strict-json.ts';
import { type KeySet, readKeySet } from './jwk.ts';

export interface TrustBundle {
  readonly keys: KeySet;
  /** 64 bits and more: beyond what a JavaScript number holds exactly. */
  readonly sequence: bigint | undefined;
  readonly refreshHintSeconds: number | undefined;
}

/** Reads a bundle's text. No `keys` at all is refused; an empty list is a bundle that trusts nobody. Throws an Error. */
export function readTrustBundle(text: string, previous?: KeySet): TrustBundle {
  const value = parseStrictJson(text);
  const keys = readKeySet(value, 'jwt-svid', previous);
  const hint = isJsonObject(value) ? value.spiffe_refresh_hint : undefined;
  return {
    keys,
    sequence: readSequence(text, value),
    refreshHintSeconds: typeof hint === 'number' && Number.isFinite(hint) && hint > 0 ? hint : undefined,
  };
}

/** The roots of its X.509-SVIDs as PEM: what a bundle's own endpoint is authenticated with in `https_spiffe`. */
export function rootsAsPem({ roots = [] }: KeySet): readonly string[] {
  return roots.map(({ der }) => new X509Certificate(der).toString());
}

type ReviverWithSource = (
  this: unknown,
  name: string,
  value: unknown,
  context: { source?: string },
) => unknown;

/** The number as it is written, since `JSON.parse` would round it. */
function readSequence(text: string, bundle: Json): bigint | undefined {
  if (!isJsonObject(bundle) || bundle.spiffe_sequence === undefined) return undefined;
  const sources = new Map<unknown, string | undefined>();
  let outermost: unknown;
  const remember: ReviverWithSource = function (name, value, context) {
    if (name === 'spiffe_sequence') sources.set(this, context.source);
    if (name === '') outermost = value;
    return value;
  };
  JSON.parse(text, remember as (name: string, value: unknown) => unknown);
  const source = sources.get(outermost);
  if (source === undefined || !/^(0|[1-9][0-9]{0,38})$/.test(source)) {
    throw new Error('spiffe_sequence is not a whole number');
  }
  return BigInt(source);
}
