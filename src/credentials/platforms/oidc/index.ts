/** Any issuer of signed JWTs that publishes its keys: what the other platforms do not cover. */
import { signingAlgorithms } from '../../../core/algorithm.ts';
import type { Platform } from '../../../core/platform.ts';

export const oidc: Platform = {
  name: 'oidc',
  algorithms: signingAlgorithms,
  defaultSubject: '/{issuer-name}/{sub}',
  maxTokenLifetimeSeconds: 86_400,
  isSharedIssuer: (issuerUrl) => sharedIssuers.some((shared) => shared.test(issuerUrl)),
  tenantClaims: [
    'repository_owner_id',
    'repository_id',
    'project_id',
    'namespace_id',
    'organization_id',
    'terraform_organization_id',
    'terraform_workspace_id',
    'owner_id',
    'org_id',
    'oidc.circleci.com/project-id',
    'azp',
    'workspace_id',
    'tid',
  ],
};

/** Issuers from which anyone can have a token; the slug or path after the host is not always a tenant. */
const sharedIssuers = [
  /^https:\/\/token\.actions\.githubusercontent\.com(\/|$)/,
  /^https:\/\/gitlab\.com(\/|$)/,
  /^https:\/\/accounts\.google\.com(\/|$)/,
  /^https:\/\/agent\.buildkite\.com(\/|$)/,
  /^https:\/\/app\.(eu\.)?terraform\.io(\/|$)/,
  /^https:\/\/oidc\.(circleci\.com|fly\.io|vercel\.com)\/?$/,
  /^https:\/\/oidc\.modal\.com(\/|$)/,
  /^https:\/\/oidc\.deno\.com(\/|$)/,
  /^https:\/\/login\.microsoftonline\.com\/(common|organizations|consumers)(\/|$)/,
];
