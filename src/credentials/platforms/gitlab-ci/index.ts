/** GitLab CI/CD: the ID tokens that a job's `id_tokens` asks for, of GitLab.com and of servers of one's own. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const gitlabCi: Platform = {
  name: 'gitlab-ci',
  algorithms: ['RS256'],
  // Paths can be given up and taken by others; the numeric ids cannot.
  defaultSubject: '/{issuer-name}/project/{project_id}',
  // A token lives as long as its job may run.
  maxTokenLifetimeSeconds: 86_400,
  isSharedIssuer: (issuerUrl) => /^https:\/\/gitlab\.com(\/|$)/.test(issuerUrl),
  tenantClaims: ['project_id', 'namespace_id'],
  nameClaims: ['sub', 'project_path', 'namespace_path'],
  check,
};

const ids = /^[1-9][0-9]{0,19}$/;

function check(claims: JsonObject): string | undefined {
  const { sub, project_id: projectId, namespace_id: namespaceId, project_path: projectPath } = claims;
  if (typeof projectId !== 'string' || !ids.test(projectId)) return 'project_id is not a numeric id';
  if (typeof namespaceId !== 'string' || !ids.test(namespaceId)) return 'namespace_id is not a numeric id';
  if (typeof projectPath !== 'string') return 'project_path is missing';
  // A project can choose what else its subjects hold, but they begin with its path.
  const [prefix, path] = typeof sub === 'string' ? sub.split(':', 2) : [];
  return prefix === 'project_path' && path === projectPath
    ? undefined
    : 'sub names another project than project_path does';
}
