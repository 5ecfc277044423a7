/** `mintmark issuer check`: what the server makes of a sample token, step by step. */
import { z } from 'zod';
import { documentLabel } from '../../core/policy/source.ts';
import { openAdminClient, ServerRefused } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes } from '../exit.ts';
import { explainProblem } from '../explain-problem.ts';
import { createPaint, type Paint, plain, plainJson } from '../paint.ts';
import { readCredential } from '../read-credential.ts';
import { readPolicySources } from '../read-policy-sources.ts';
import { sentenceOf } from '../reason-sentences.ts';

export interface CheckIssuerOptions {
  readonly json?: boolean;
  /** Files that hold the document, where it is not the saved one. */
  readonly file?: readonly string[];
  /** The path of the sample token. */
  readonly token: string;
}

const checkSchema = z.object({
  verdict: z.string(),
  reason: z.string().optional(),
  detail: z.string().optional(),
  spiffe_id: z.string().optional(),
  steps: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean(),
      reason: z.string().optional(),
      detail: z.string().optional(),
    }),
  ),
  also_accepted_by: z.array(z.string()),
});

/** Exit code 0 where the token is accepted, 1 in any other case. */
export async function checkIssuer(
  dependencies: CliDependencies,
  name: string,
  options: CheckIssuerOptions,
): Promise<ExitCode> {
  const { out, environment } = dependencies;
  const sources = options.file === undefined ? [] : await readPolicySources(dependencies, options.file);
  const document = sources.find(({ value }) => documentLabel(value) === `Issuer/${name}`);
  if (options.file !== undefined && document === undefined) {
    throw new CommandFailure(`The files of -f hold no Issuer/${name}.`);
  }
  const token = await readCredential(dependencies, options.token);
  const client = await openAdminClient(dependencies);
  const answer = await client.checkIssuer(name, token, document?.value).catch((error) => {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem, sources), { body: error.problem });
  });
  const check = checkSchema.safeParse(answer);
  if (!check.success) {
    throw new CommandFailure('The server’s answer is not one that this version of mintmark understands.');
  }
  out.write(
    options.json
      ? `${plainJson(answer)}\n`
      : printCheck(check.data, createPaint(out.isTerminal, environment)),
  );
  return check.data.verdict === 'accepted' ? exitCodes.done : exitCodes.refused;
}

function printCheck(check: z.infer<typeof checkSchema>, paint: Paint): string {
  const steps = check.steps.map(({ name, ok, reason, detail }) => {
    const mark = ok ? paint('green', 'ok    ') : paint('red', 'failed');
    return `${mark}  ${plain(name)}${ok ? '' : `: ${plain(detail ?? reason ?? '')}`}`;
  });
  const others = check.also_accepted_by.map((name) => `also accepted by Issuer/${plain(name)}`);
  const because = check.reason === undefined ? check.detail : sentenceOf(check.reason);
  const outcome = check.spiffe_id ?? because;
  const verdict = `${plain(check.verdict)}${outcome === undefined ? '' : `: ${plain(outcome)}`}`;
  return `${[...steps, ...others, paint('bold', verdict)].join('\n')}\n`;
}
