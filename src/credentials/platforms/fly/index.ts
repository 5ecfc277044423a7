/** Fly.io: the OIDC tokens that a machine asks its own API for. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const fly: Platform = {
  name: 'fly',
  algorithms: ['RS256'],
  defaultSubject: '/{issuer-name}/org/{org_id}/app/{app_id}',
  maxTokenLifetimeSeconds: 900,
  isSharedIssuer: (issuerUrl) => /^https:\/\/oidc\.fly\.io\/?$/.test(issuerUrl),
  tenantClaims: ['org_id', 'app_id'],
  nameClaims: ['sub', 'org_name', 'app_name', 'machine_name', 'image'],
  check,
};

const ids = /^[1-9][0-9]{0,19}$/;

function check(claims: JsonObject): string | undefined {
  const { sub, app_id: appId, app_name: app, org_id: orgId, org_name: org } = claims;
  if (typeof orgId !== 'string' || !ids.test(orgId)) return 'org_id is not a numeric id';
  if (typeof appId !== 'string' || !ids.test(appId)) return 'app_id is not a numeric id';
  if (typeof org !== 'string' || typeof app !== 'string' || typeof sub !== 'string') {
    return 'sub, org_name or app_name is missing';
  }
  return sub.startsWith(`${org}:${app}:`) ? undefined : 'sub names another app than the other claims do';
}
