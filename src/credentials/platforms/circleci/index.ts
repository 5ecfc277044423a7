/** CircleCI: the OIDC tokens that every job finds in its environment. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const circleci: Platform = {
  name: 'circleci',
  algorithms: ['RS256'],
  // Not `sub`: it ends with the user who pressed the button.
  defaultSubject: '/{issuer-name}/project/{oidc.circleci.com/project-id}',
  maxTokenLifetimeSeconds: 3600,
  isSharedIssuer: (issuerUrl) => {
    const isOrganizations = /^https:\/\/oidc\.circleci\.com\/org\/[0-9a-f-]{36}$/.test(issuerUrl);
    return /^https:\/\/oidc\.circleci\.com(\/|$)/.test(issuerUrl) && !isOrganizations;
  },
  tenantClaims: ['oidc.circleci.com/project-id'],
  nameClaims: ['oidc.circleci.com/vcs-origin'],
  check,
};

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function check(claims: JsonObject): string | undefined {
  const { iss, sub, 'oidc.circleci.com/project-id': project } = claims;
  if (typeof project !== 'string' || !uuid.test(project)) return 'project-id is not a UUID';
  if (typeof sub !== 'string' || typeof iss !== 'string') return 'sub is missing';
  const [org, orgId, label, projectId] = sub.split('/');
  if (org !== 'org' || orgId === undefined || label !== 'project' || projectId !== project) {
    return 'sub names another project than project-id does';
  }
  const issuerOrgId = /\/org\/([^/]+)$/.exec(iss)?.[1];
  if (issuerOrgId !== undefined && issuerOrgId !== orgId)
    return 'sub names another organization than iss does';
  // Whoever reruns a job with SSH has a shell in it, and its token.
  return claims['oidc.circleci.com/ssh-rerun'] === true
    ? 'ssh-rerun: a person has a shell in this job'
    : undefined;
}
