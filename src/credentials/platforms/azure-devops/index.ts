/** Azure DevOps: the OIDC tokens of pipelines (not those of their service connections). */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const azureDevops: Platform = {
  name: 'azure-devops',
  algorithms: ['RS256'],
  defaultSubject: '/{issuer-name}/project/{prj_id}/pipeline/{def_id}',
  maxTokenLifetimeSeconds: 3600,
  isSharedIssuer: (issuerUrl) => {
    const isOrganizations = /^https:\/\/vstoken\.dev\.azure\.com\/[0-9a-f-]{36}$/.test(issuerUrl);
    return /^https:\/\/vstoken\.dev\.azure\.com(\/|$)/.test(issuerUrl) && !isOrganizations;
  },
  tenantClaims: ['org_id', 'prj_id'],
  fixedAudiences: ['api://AzureADTokenExchange'],
  nameClaims: ['sub', 'rpo_uri'],
  check,
};

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const numericId = /^[1-9][0-9]{0,9}$/;

function check(claims: JsonObject): string | undefined {
  const { iss, sub, org_id: orgId, prj_id: projectId, def_id: definitionId } = claims;
  if (typeof sub !== 'string' || !sub.startsWith('p://')) return 'sub is not a pipeline';
  if (typeof orgId !== 'string' || !uuid.test(orgId)) return 'org_id is not a UUID';
  if (typeof projectId !== 'string' || !uuid.test(projectId)) return 'prj_id is not a UUID';
  if (typeof definitionId !== 'string' || !numericId.test(definitionId)) return 'def_id is not a numeric id';
  return typeof iss === 'string' && iss.endsWith(`/${orgId}`)
    ? undefined
    : 'org_id is not the organization of iss';
}
