/** HashiCorp Nomad: the workload identities that a job's `identity` blocks ask for. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const nomad: Platform = {
  name: 'nomad',
  algorithms: ['RS256', 'EdDSA'],
  defaultSubject: '/{issuer-name}/ns/{nomad_namespace}/job/{nomad_job_id}',
  maxTokenLifetimeSeconds: 3600,
  isSharedIssuer: () => false,
  tenantClaims: [],
  check,
};

function check(claims: JsonObject): string | undefined {
  const { sub, nomad_namespace: namespace, nomad_job_id: job } = claims;
  if (typeof namespace !== 'string' || typeof job !== 'string')
    return 'nomad_namespace or nomad_job_id is missing';
  if (typeof sub !== 'string') return 'sub is missing';
  // <region>:<namespace>:<job>:<group>:<task or service>:<identity>
  const [region, ...rest] = sub.split(':');
  if (region === '' || !rest.join(':').startsWith(`${namespace}:${job}:`)) {
    return 'sub names another job than nomad_namespace and nomad_job_id do';
  }
  return rest.at(-1) === 'default' ? "the default identity is for Nomad's own API" : undefined;
}
