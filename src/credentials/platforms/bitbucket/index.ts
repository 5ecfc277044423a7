/** Bitbucket Pipelines: the OIDC tokens that a step finds in its environment. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const bitbucket: Platform = {
  name: 'bitbucket',
  algorithms: ['RS256'],
  // Not `sub`: it ends with the step, and so is another each time.
  defaultSubject: '/{issuer-name}/repository/{repositoryUuid}',
  maxTokenLifetimeSeconds: 7200,
  isSharedIssuer: (issuerUrl) => {
    const isWorkspaces =
      /^https:\/\/api\.bitbucket\.org\/2\.0\/workspaces\/[^/]+\/pipelines-config\/identity\/oidc$/.test(
        issuerUrl,
      );
    return /^https:\/\/api\.bitbucket\.org(\/|$)/.test(issuerUrl) && !isWorkspaces;
  },
  tenantClaims: ['workspaceUuid', 'repositoryUuid'],
  nameClaims: ['branchName'],
  subjectClaims: (claims) => Object.fromEntries(Object.entries(claims).map(withoutBraces)),
  check,
};

const uuidClaims = [
  'workspaceUuid',
  'repositoryUuid',
  'deploymentEnvironmentUuid',
  'pipelineUuid',
  'stepUuid',
] as const;
const bracedUuid = /^\{([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\}$/;

/** Every UUID claim that is there has braces, so that taking them off never makes two values one. */
function check(claims: JsonObject): string | undefined {
  for (const name of uuidClaims) {
    const value = claims[name];
    if (value !== undefined && (typeof value !== 'string' || !bracedUuid.test(value))) {
      return `${name} is not a UUID in braces`;
    }
  }
  const { sub, repositoryUuid } = claims;
  if (typeof repositoryUuid !== 'string' || typeof sub !== 'string') return 'repositoryUuid is missing';
  return sub.startsWith(`${repositoryUuid}:`)
    ? undefined
    : 'sub names another repository than repositoryUuid does';
}

/** Braces are not legal in a SPIFFE ID (SPIFFE-ID §2.2). */
function withoutBraces([name, value]: [string, JsonObject[string]]): [string, JsonObject[string]] {
  const isUuid = uuidClaims.some((claim) => claim === name) && typeof value === 'string';
  return [name, isUuid ? (bracedUuid.exec(value)?.[1] ?? value) : value];
}
