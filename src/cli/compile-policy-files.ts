/** Compiles the files that `-f` names as a server would, with their policy tests beside them. */
import { tokenEndpointOf } from '../core/discovery.ts';
import { compilePolicy } from '../core/policy/compile.ts';
import { checkPolicyTests, type PolicyTest } from '../core/policy/policy-test.ts';
import { collectProblems } from '../core/policy/problems.ts';
import { PolicyRefused } from '../core/policy/refused.ts';
import type { PolicyContext, PolicySnapshot } from '../core/policy/snapshot.ts';
import type { PolicySource } from '../core/policy/source.ts';
import { isTrustDomainName } from '../core/spiffe-id.ts';
import type { CliDependencies } from './dependencies.ts';
import { usageFailure } from './exit.ts';
import { policyFailure, readPolicySources, readTestSources } from './read-policy-sources.ts';

export interface PolicyFilesOptions {
  readonly file: readonly string[];
  readonly issuer?: string;
  readonly trustDomain?: string;
}

export interface PolicyFiles {
  readonly policy: PolicySnapshot;
  readonly tests: readonly PolicyTest[];
  readonly context: PolicyContext;
}

const defaultIssuer = 'http://127.0.0.1:8080';

/** Throws `CommandFailure` with a line for each thing that is wrong with the policy or its tests. */
export async function compilePolicyFiles(
  dependencies: CliDependencies,
  options: PolicyFilesOptions,
): Promise<PolicyFiles> {
  const context = policyContext(dependencies, options);
  // The files may be what MINTMARK_POLICY is to name, and only such files may name others on the server.
  const written = await readPolicySources(dependencies, options.file);
  const sources = written.map((source) => ({ ...source, managedBy: 'file' as const }));
  const testSources = await readTestSources(dependencies, options.file);

  const refusals: PolicyRefused[] = [];
  const policy = unlessRefused(() => compilePolicy(sources, context, 0), refusals);
  const tests = unlessRefused(() => compileTests(testSources), refusals);
  if (policy !== undefined && tests !== undefined) return { policy, tests, context };
  throw policyFailure(new PolicyRefused(refusals.flatMap(({ problems }) => problems)));
}

function compileTests(sources: readonly PolicySource[]): readonly PolicyTest[] {
  const problems = collectProblems();
  const tests = checkPolicyTests(sources, problems);
  problems.throwIfAny();
  return tests;
}

function unlessRefused<T>(compile: () => T, refusals: PolicyRefused[]): T | undefined {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof PolicyRefused)) throw error;
    refusals.push(error);
    return undefined;
  }
}

/** What a policy is compiled for, by the options or the environment. */
export function policyContext(
  { environment, platforms }: CliDependencies,
  options: Omit<PolicyFilesOptions, 'file'>,
): PolicyContext {
  const issuer = options.issuer ?? (environment.MINTMARK_ISSUER || defaultIssuer);
  if (!URL.canParse(issuer)) throw usageFailure(`the issuer is not a URL: ${issuer}`);
  const trustDomain = options.trustDomain ?? (environment.MINTMARK_TRUST_DOMAIN || new URL(issuer).hostname);
  if (!isTrustDomainName(trustDomain)) throw usageFailure(`not a SPIFFE trust domain name: ${trustDomain}`);
  return { issuer, trustDomain, tokenEndpoint: tokenEndpointOf(issuer), platforms };
}
