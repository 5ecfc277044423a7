/** GitHub Actions: the OIDC tokens that workflow jobs can ask for. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const githubActions: Platform = {
  name: 'github-actions',
  algorithms: ['RS256'],
  // Names can be given up and taken by others; the numeric ids cannot.
  defaultSubject: '/{issuer-name}/owner/{repository_owner_id}/repo/{repository_id}',
  maxTokenLifetimeSeconds: 900,
  isSharedIssuer: (issuerUrl) => {
    // A server of one's own (GHES) or a tenant of ghe.com is not shared; an enterprise's slug after the host can be renamed.
    return /^https:\/\/token\.actions\.githubusercontent\.com(\/|$)/.test(issuerUrl);
  },
  tenantClaims: ['repository_owner_id', 'repository_id', 'enterprise_id'],
  nameClaims: ['sub', 'repository', 'repository_owner', 'enterprise', 'actor'],
  check,
};

const ids = /^[1-9][0-9]{0,19}$/;

function check(claims: JsonObject): string | undefined {
  const {
    sub,
    repository,
    repository_owner: owner,
    repository_id: id,
    repository_owner_id: ownerId,
  } = claims;
  if (typeof id !== 'string' || !ids.test(id)) return 'repository_id is not a numeric id';
  if (typeof ownerId !== 'string' || !ids.test(ownerId)) return 'repository_owner_id is not a numeric id';
  if (typeof repository !== 'string' || typeof owner !== 'string')
    return 'repository or its owner is missing';
  if (!repository.startsWith(`${owner}/`)) return 'repository is not one of repository_owner';
  // Code of a fork's author may run with a base repository's token.
  if (claims.event_name === 'pull_request_target') return 'event_name is pull_request_target';
  return typeof sub === 'string' ? subjectRefusal(sub, repository, id, ownerId) : 'sub is missing';
}

/**
 * `repo:octo-org/octo-repo:…` by name, or `repo:octo-org@65/octo-repo@74:…` by name and id (the default for repositories
 * since July 2026). An organisation can compose other subjects, which are not read.
 */
function subjectRefusal(sub: string, repository: string, id: string, ownerId: string): string | undefined {
  const [prefix, subject] = sub.split(':', 3);
  if (prefix !== 'repo' || subject === undefined) return undefined;
  const [owner, name] = repository.split('/');
  const isNamed = subject === repository || subject === `${owner}@${ownerId}/${name}@${id}`;
  return isNamed ? undefined : 'sub names another repository than repository and its ids do';
}
