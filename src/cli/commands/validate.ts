/** `mintmark validate`: checks policy files as the server would, without one. */
import { tokenEndpointOf } from '../../core/discovery.ts';
import { compilePolicy } from '../../core/policy/compile.ts';
import { describeProblem, type PolicyProblem, PolicyRefused } from '../../core/policy/refused.ts';
import { isTrustDomainName } from '../../core/spiffe-id.ts';
import type { CliDependencies } from '../dependencies.ts';
import { type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { plain } from '../paint.ts';
import { policyFailure, readPolicySources } from '../read-policy-sources.ts';

export interface ValidateOptions {
  readonly file: readonly string[];
  readonly issuer?: string;
  readonly trustDomain?: string;
  readonly json?: boolean;
}

const defaultIssuer = 'http://127.0.0.1:8080';

/** Exit code 0 where the files are a whole policy that the server would take. */
export async function validate(dependencies: CliDependencies, options: ValidateOptions): Promise<ExitCode> {
  const { environment, platforms, out, err } = dependencies;
  const issuer = options.issuer ?? (environment.MINTMARK_ISSUER || defaultIssuer);
  if (!URL.canParse(issuer)) throw usageFailure(`the issuer is not a URL: ${issuer}`);
  const trustDomain = options.trustDomain ?? (environment.MINTMARK_TRUST_DOMAIN || new URL(issuer).hostname);
  if (!isTrustDomainName(trustDomain)) throw usageFailure(`not a SPIFFE trust domain name: ${trustDomain}`);

  // The files may be what MINTMARK_POLICY is to name, and only such files may name others on the server.
  const written = await readPolicySources(dependencies, options.file);
  const sources = written.map((source) => ({ ...source, managedBy: 'file' as const }));
  const context = { issuer, trustDomain, tokenEndpoint: tokenEndpointOf(issuer), platforms };
  let warnings: readonly PolicyProblem[];
  try {
    ({ warnings } = compilePolicy(sources, context, 0));
  } catch (error) {
    throw error instanceof PolicyRefused ? policyFailure(error) : error;
  }
  if (options.json) {
    out.write(`${JSON.stringify({ valid: true, documents: sources.length, warnings })}\n`);
    return exitCodes.done;
  }
  for (const warning of warnings) err.write(`warning: ${plain(describeProblem(warning))}\n`);
  out.write(`${sources.length === 1 ? '1 document' : `${sources.length} documents`}: valid\n`);
  return exitCodes.done;
}
