/** Which claims a first Issuer requires: ids that cannot be registered again, where the platform signs any. */
import type { JsonObject } from '../../core/json.ts';
import type { Platform } from '../../core/platform.ts';
import { readClaim } from '../../core/policy/claim-path.ts';

/** The first tenant's id that the claims hold; else the first claim that identity rests on. */
export function requiredClaims(platform: Platform, claims: JsonObject): Readonly<Record<string, string>> {
  const readable = { ...claims, ...platform.deriveClaims?.(claims) };
  const named = platform.nameClaims ?? [];
  const ofSubject = [...platform.defaultSubject.matchAll(/\{([^}|]+)(?:\|path)?\}/g)]
    .map(([, path]) => path ?? '')
    .filter((path) => path !== 'issuer-name');
  const candidates = [
    ...platform.tenantClaims.filter((path) => !named.includes(path)),
    ...ofSubject.filter((path) => !named.includes(path)),
    ...ofSubject,
    'sub',
  ];
  for (const path of candidates) {
    // `require` reads the claims as they are signed.
    const isSigned = readClaim(claims, path).found;
    const reading = readClaim(readable, path);
    if (isSigned && reading.found && typeof reading.value === 'string') return { [path]: reading.value };
  }
  return {};
}
