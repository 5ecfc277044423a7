/** Refuses grants that are bound to give one claim two values. */
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../json.ts';
import type { Checked } from './check.ts';
import type { GrantDocument } from './document.ts';
import { type Problems, placeOf } from './problems.ts';
import type { PolicySource } from './source.ts';

/** The cheap certain case of opposed grants: the same subject entry on the same resource. Others show at the exchange. */
export function refuseOpposedClaims(grants: readonly Checked<GrantDocument>[], problems: Problems): void {
  const earlier = new Map<string, { readonly value: Json; readonly source: PolicySource }>();
  for (const { source, document } of grants) {
    const { resource, subjects, claims } = document.spec;
    for (const [name, value] of Object.entries(claims.set)) {
      for (const subject of subjects) {
        const key = JSON.stringify([resource, subject, name]);
        const other = earlier.get(key);
        if (other === undefined) earlier.set(key, { value, source });
        else if (!isDeepStrictEqual(other.value, value)) {
          const place = placeOf(other.source, ['spec', 'claims', 'set', name]);
          problems.add(
            source,
            ['spec', 'claims', 'set', name],
            `${place} sets another value for the same subject`,
          );
          break;
        }
      }
    }
  }
}
