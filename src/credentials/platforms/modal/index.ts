/** Modal: the identity token in each container's environment, made for one audience that all its verifiers share. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const modal: Platform = {
  name: 'modal',
  algorithms: ['RS256'],
  defaultSubject: '/{issuer-name}/workspace/{workspace_id}/env/{environment_id}/app/{app_id}',
  maxTokenLifetimeSeconds: 48 * 3600,
  isSharedIssuer: () => true,
  tenantClaims: ['workspace_id'],
  fixedAudiences: ['oidc.modal.com'],
  nameClaims: ['workspace_name', 'environment_name', 'app_name', 'function_name'],
  check,
};

/** `sub` spells the workspace out; where it disagrees with the claim, it was not Modal that wrote them. */
function check({ sub, workspace_id: workspace }: JsonObject): string | undefined {
  if (typeof workspace !== 'string') return 'workspace_id is not an id';
  const named = typeof sub === 'string' ? /^modal:workspace_id:([^:]*):/.exec(sub)?.[1] : undefined;
  return named === undefined || named === workspace ? undefined : 'sub names another workspace_id';
}
