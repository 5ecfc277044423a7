/** Buildkite: the OIDC tokens that a job asks its agent for. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const buildkite: Platform = {
  name: 'buildkite',
  algorithms: ['RS256'],
  // Slugs can be given up and taken by others; the ids cannot, but a job has to ask for them.
  defaultSubject: '/{issuer-name}/org/{organization_id}/pipeline/{pipeline_id}',
  maxTokenLifetimeSeconds: 600,
  isSharedIssuer: (issuerUrl) => /^https:\/\/agent\.buildkite\.com(\/|$)/.test(issuerUrl),
  tenantClaims: ['organization_id', 'pipeline_id'],
  nameClaims: ['sub', 'organization_slug', 'pipeline_slug'],
  check,
};

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function check(claims: JsonObject): string | undefined {
  const { sub, organization_id: orgId, pipeline_id: pipelineId } = claims;
  const { organization_slug: org, pipeline_slug: pipeline } = claims;
  if (typeof orgId !== 'string' || !uuid.test(orgId))
    return 'organization_id is not a UUID: ask for the claim';
  if (typeof pipelineId !== 'string' || !uuid.test(pipelineId))
    return 'pipeline_id is not a UUID: ask for the claim';
  if (typeof sub !== 'string' || typeof org !== 'string' || typeof pipeline !== 'string') {
    return 'sub or a slug is missing';
  }
  // `--subject-claim` puts one claim in its place.
  if (!sub.startsWith('organization:')) return undefined;
  return sub.startsWith(`organization:${org}:pipeline:${pipeline}:`)
    ? undefined
    : 'sub names another pipeline than the other claims do';
}
