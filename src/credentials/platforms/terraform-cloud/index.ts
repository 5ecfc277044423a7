/** HCP Terraform and Terraform Enterprise: the workload identity tokens of runs. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const terraformCloud: Platform = {
  name: 'terraform-cloud',
  algorithms: ['RS256'],
  // A speculative plan runs the code of a pull request, so plan and apply are never one identity.
  defaultSubject:
    '/{issuer-name}/org/{terraform_organization_id}/workspace/{terraform_workspace_id}/{terraform_run_phase}',
  // A token lives as long as its phase may run.
  maxTokenLifetimeSeconds: 86_400,
  isSharedIssuer: (issuerUrl) => /^https:\/\/app\.(eu\.)?terraform\.io(\/|$)/.test(issuerUrl),
  tenantClaims: ['terraform_organization_id', 'terraform_workspace_id'],
  nameClaims: [
    'sub',
    'terraform_organization_name',
    'terraform_project_name',
    'terraform_workspace_name',
    'terraform_full_workspace',
  ],
  check,
};

function check(claims: JsonObject): string | undefined {
  const { sub, terraform_run_phase: phase, terraform_organization_name: organization } = claims;
  if (!isId(claims.terraform_organization_id, 'org-')) return 'terraform_organization_id is not an id';
  if (!isId(claims.terraform_workspace_id, 'ws-')) return 'terraform_workspace_id is not an id';
  if (phase !== 'plan' && phase !== 'apply') return 'terraform_run_phase is neither plan nor apply';
  if (typeof organization !== 'string' || typeof sub !== 'string')
    return 'sub or the organization is missing';
  const isNamed = sub.startsWith(`organization:${organization}:`) && sub.endsWith(`:run_phase:${phase}`);
  return isNamed ? undefined : 'sub names another organization or phase than the other claims do';
}

function isId(value: unknown, prefix: string): boolean {
  return typeof value === 'string' && value.startsWith(prefix) && value.length > prefix.length;
}
