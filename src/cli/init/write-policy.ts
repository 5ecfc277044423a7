/** A first policy as a commented YAML file. */
import { stringify } from 'yaml';
import type { FirstPolicy } from './first-policy.ts';

/** Ends with a newline. `path` is where it will stand, `source` where its values come from. */
export function policyText(policy: FirstPolicy, options: { path: string; source: string }): string {
  const { path, source } = options;
  const yaml = (document: object) => stringify(document, { lineWidth: 0 });
  return [
    `# A first policy. Its ids come from ${source}.
#
#   mintmark validate -f ${path}
#   mintmark test -f ${path}
#   mintmark apply -f ${path}

# Whose tokens are believed: only those with the required claims, which should be ids that nobody can register again.
${yaml(policy.issuer)}`,
    `# The service that tokens are minted for: its audience is what it checks.\n${yaml(policy.resource)}`,
    `# Which workload may have which scopes there.\n${yaml(policy.grant)}`,
    `# Runs in \`mintmark test\`, offline; never stored.\n${yaml(policy.policyTest)}`,
  ].join('---\n');
}
