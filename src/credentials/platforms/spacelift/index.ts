/** Spacelift: the OIDC tokens of runs. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const spacelift: Platform = {
  name: 'spacelift',
  algorithms: ['RS256'],
  // A proposed run holds a pull request's code and has scope read, so the scopes are never one identity.
  defaultSubject: '/{issuer-name}/space/{spaceId}/{callerType}/{callerId}/{scope}',
  maxTokenLifetimeSeconds: 3600,
  // Each account has an issuer, and a host, of its own.
  isSharedIssuer: () => false,
  tenantClaims: [],
  check,
};

function check(claims: JsonObject): string | undefined {
  const { sub, spaceId, callerType, callerId, runType, scope } = claims;
  if (scope !== 'read' && scope !== 'write') return 'scope is neither read nor write';
  if (callerType !== 'stack' && callerType !== 'module') return 'callerType is neither stack nor module';
  if (typeof spaceId !== 'string' || typeof callerId !== 'string' || typeof runType !== 'string') {
    return 'spaceId, callerId or runType is missing';
  }
  return sub === `space:${spaceId}:${callerType}:${callerId}:run_type:${runType}:scope:${scope}`
    ? undefined
    : 'sub names another run than the other claims do';
}
