/** Deno Deploy: the OIDC tokens that a running app can ask for. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const denoDeploy: Platform = {
  name: 'deno-deploy',
  algorithms: ['RS256'],
  defaultSubject: '/{issuer-name}/org/{org_id}/app/{app_id}',
  maxTokenLifetimeSeconds: 3600,
  isSharedIssuer: () => true,
  tenantClaims: ['org_id', 'app_id'],
  nameClaims: ['org_slug', 'app_slug', 'context_name'],
  check,
};

function check({ org_id: org, app_id: app }: JsonObject): string | undefined {
  if (typeof org !== 'string') return 'org_id is not an id';
  return typeof app === 'string' ? undefined : 'app_id is not an id';
}
