/** Vercel: the OIDC tokens of deployments, by the team's own issuer or the one that all share. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const vercel: Platform = {
  name: 'vercel',
  algorithms: ['RS256'],
  // A preview deployment runs the code of a pull request, so it is never one identity with production.
  defaultSubject: '/{issuer-name}/owner/{owner_id}/project/{project_id}/{environment}',
  maxTokenLifetimeSeconds: 3600,
  isSharedIssuer: (issuerUrl) => /^https:\/\/oidc\.vercel\.com\/?$/.test(issuerUrl),
  tenantClaims: ['owner_id', 'project_id'],
  nameClaims: ['sub', 'owner', 'project'],
  check,
};

function check(claims: JsonObject): string | undefined {
  const { sub, owner, owner_id: ownerId, project, project_id: projectId, environment } = claims;
  if (typeof ownerId !== 'string' || ownerId === '') return 'owner_id is missing';
  if (typeof projectId !== 'string' || !projectId.startsWith('prj_')) return 'project_id is not an id';
  if (typeof owner !== 'string' || typeof project !== 'string' || typeof environment !== 'string') {
    return 'owner, project or environment is missing';
  }
  // `vercel env pull` gives one to a person's machine.
  if (environment === 'development') return 'environment is development, which is no deployment';
  return sub === `owner:${owner}:project:${project}:environment:${environment}`
    ? undefined
    : 'sub names another deployment than the other claims do';
}
