/** `mintmark explain`: what the server would answer to a credential or to claims, and why. */
import { z } from 'zod';
import type { Json } from '../../core/json.ts';
import { parseStrictJson } from '../../core/strict-json.ts';
import { openAdminClient, ServerRefused } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { explainProblem } from '../explain-problem.ts';
import { createPaint, type Paint, plain, plainJson } from '../paint.ts';
import { printChecks, shownCheckSchema } from '../print-event.ts';
import { readCredential } from '../read-credential.ts';
import { sentenceOf } from '../reason-sentences.ts';

export interface ExplainOptions {
  readonly audience?: string;
  readonly scope?: string;
  /** JSON, or `@` and a path. */
  readonly additionalClaims?: string;
  readonly tokenFormat?: string;
  readonly proof?: string;
  /** A path, or `-` for standard input. One of this, `issuer` and `spiffeId`. */
  readonly credentialFile?: string;
  readonly lane?: string;
  readonly issuer?: string;
  readonly spiffeId?: string;
  /** JSON, or `@` and a path. */
  readonly claims?: string;
  readonly at?: string;
  readonly json?: boolean;
}

const text = z.string().optional();
const explanationSchema = z.object({
  outcome: z.string(),
  reason: text,
  detail: text,
  policy_revision: z.int(),
  identity: z.object({ spiffe_id: z.string(), issuer: text, trust_domain: text }).optional(),
  resource: text,
  scopes: z.array(z.string()).optional(),
  lifetime_seconds: z.int().optional(),
  added_claims: z.record(z.string(), z.unknown()).optional(),
  grants: z.array(
    z.object({ grant: z.string(), contributes: z.boolean(), failed: shownCheckSchema.optional() }),
  ),
  checks: z.array(shownCheckSchema),
});
type Shown = z.infer<typeof explanationSchema>;

const tokenOrCertificates = /^(?:[\x21-\x7e]+|-----BEGIN CERTIFICATE-----[\x20-\x7e\r\n]+)$/;

/** Exit code 0 where an exchange would give a token, 1 in any other case. */
export async function explain(dependencies: CliDependencies, options: ExplainOptions): Promise<ExitCode> {
  const { out, environment } = dependencies;
  const question = await readQuestion(dependencies, options);
  const client = await openAdminClient(dependencies);
  const answer = await client.explain(question).catch((error) => {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem), { body: error.problem });
  });
  const explanation = explanationSchema.safeParse(answer);
  if (!explanation.success) {
    throw new CommandFailure('The server’s answer is not one that this version of mintmark understands.');
  }
  const paint = createPaint(out.isTerminal, environment);
  out.write(options.json ? `${plainJson(answer)}\n` : printExplanation(explanation.data, paint));
  return explanation.data.outcome === 'permitted' ? exitCodes.done : exitCodes.refused;
}

async function readQuestion(dependencies: CliDependencies, options: ExplainOptions): Promise<unknown> {
  const { credentialFile, lane, issuer, spiffeId, audience, scope, tokenFormat, proof, at } = options;
  const given = [credentialFile, issuer, spiffeId].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw usageFailure('explain needs one of --credential-file, --issuer with --claims, and --spiffe-id');
  }
  return {
    credential:
      credentialFile === undefined
        ? undefined
        : await readCredential(dependencies, credentialFile, tokenOrCertificates),
    lane,
    issuer,
    spiffe_id: spiffeId,
    claims: await readClaims(dependencies, '--claims', options.claims),
    request: {
      audience,
      scope,
      additional_claims: await readClaims(dependencies, '--additional-claims', options.additionalClaims),
      token_format: tokenFormat,
      proof,
    },
    at,
  };
}

async function readClaims(
  { readTextFile }: CliDependencies,
  option: string,
  argument: string | undefined,
): Promise<Json | undefined> {
  if (argument === undefined) return undefined;
  const json = argument.startsWith('@')
    ? await readTextFile(argument.slice(1)).catch(() => {
        throw usageFailure(`the claims cannot be read: ${argument.slice(1)}`);
      })
    : argument;
  try {
    return parseStrictJson(json);
  } catch {
    throw usageFailure(`${option} takes a JSON object, or @ and the path of one`);
  }
}

function printExplanation(explanation: Shown, paint: Paint): string {
  const { identity, grants, checks } = explanation;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['identity', identity?.spiffe_id],
    ['vouched by', identity?.issuer ? `Issuer/${identity.issuer}` : identity?.trust_domain],
    ['given', given(explanation)],
    ['adds', explanation.added_claims && JSON.stringify(explanation.added_claims)],
    ['reason', explanation.reason],
    ['detail', explanation.detail],
    ['policy', `revision ${explanation.policy_revision}`],
  ];
  const lines = rows.flatMap(([label, value]) =>
    value === undefined || value === '{}' ? [] : [`${paint('dim', label.padEnd(11))}${plain(value)}`],
  );
  const verdicts = grants.map(({ grant, contributes, failed }) => {
    const mark = contributes ? paint('green', '✓') : paint('red', '✗');
    const why = failed && `: ${failed.check}: expected ${failed.expected}, actual ${failed.actual}`;
    return `${mark} ${plain(`Grant/${grant}${why ?? ''}`)}`;
  });
  const title = paint('dim', 'grants, and the first thing that failed');
  const block = verdicts.length === 0 ? [] : ['', title, ...verdicts];
  return `${[headline(explanation, paint), '', ...lines, ...block, ...printChecks(checks, paint)].join('\n')}\n`;
}

function headline({ outcome, reason }: Shown, paint: Paint): string {
  if (outcome === 'permitted') return `${paint('green', '✓')} ${paint('bold', 'A token would be given.')}`;
  const verdict = outcome === 'refused' ? 'A token would be refused' : 'Only an exchange can tell';
  const because = reason === undefined ? '' : `: ${plain(sentenceOf(reason))}`;
  return `${paint('red', '✗')} ${paint('bold', `${verdict}${because}.`)}`;
}

function given({ resource, scopes, lifetime_seconds: seconds }: Shown): string | undefined {
  if (scopes === undefined) return undefined;
  const scope = scopes.length === 0 ? 'without a scope' : `with scope ${scopes.join(' ')}`;
  return `a token for ${resource ?? 'the resource'} ${scope}, for ${seconds} s`;
}
