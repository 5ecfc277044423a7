/** `mintmark validate`: checks policy files as the server would, without one. */
import { tokenEndpointOf } from '../../core/discovery.ts';
import { compilePolicy } from '../../core/policy/compile.ts';
import { PolicyRefused } from '../../core/policy/refused.ts';
import { isTrustDomainName } from '../../core/spiffe-id.ts';
import type { CliDependencies } from '../dependencies.ts';
import { type ExitCode, exitCodes, usageFailure } from '../exit.ts';
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
  const { environment, platforms, out } = dependencies;
  const issuer = options.issuer ?? (environment.MINTMARK_ISSUER || defaultIssuer);
  if (!URL.canParse(issuer)) throw usageFailure(`the issuer is not a URL: ${issuer}`);
  const trustDomain = options.trustDomain ?? (environment.MINTMARK_TRUST_DOMAIN || new URL(issuer).hostname);
  if (!isTrustDomainName(trustDomain)) throw usageFailure(`not a SPIFFE trust domain name: ${trustDomain}`);

  // The files may be what MINTMARK_POLICY is to name, and only such files may name others on the server.
  const written = await readPolicySources(dependencies, options.file);
  const sources = written.map((source) => ({ ...source, managedBy: 'file' as const }));
  try {
    compilePolicy(sources, { issuer, trustDomain, tokenEndpoint: tokenEndpointOf(issuer), platforms }, 0);
  } catch (error) {
    throw error instanceof PolicyRefused ? policyFailure(error) : error;
  }
  const count = sources.length === 1 ? '1 document' : `${sources.length} documents`;
  out.write(
    options.json ? `${JSON.stringify({ valid: true, documents: sources.length })}\n` : `${count}: valid\n`,
  );
  return exitCodes.done;
}
