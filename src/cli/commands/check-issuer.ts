/** `mintmark issuer check`: what the server makes of a sample token, step by step. */
import { z } from 'zod';
import { openAdminClient, ServerRefused } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes } from '../exit.ts';
import { explainProblem } from '../explain-problem.ts';
import { createPaint, type Paint, plain, plainJson } from '../paint.ts';
import { readCredential } from '../read-credential.ts';
import { sentenceOf } from '../reason-sentences.ts';

export interface CheckIssuerOptions {
  readonly json?: boolean;
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
  const token = await readCredential(dependencies, options.token);
  const client = await openAdminClient(dependencies);
  const answer = await client.checkIssuer(name, token).catch((error) => {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem), { body: error.problem });
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
