/** What a probe is to ask for: one exchange by flags, or several by a YAML file. */
import { parse } from 'yaml';
import { z } from 'zod';
import type { CliDependencies } from '../dependencies.ts';
import { usageFailure } from '../exit.ts';

const exchangeSchema = z
  .strictObject({
    name: z.string().min(1).max(128),
    credentialFile: z.string().optional(),
    platform: z.string().optional(),
    platformAudience: z.string().optional(),
    audience: z.string().optional(),
    scope: z.string().optional(),
    /** Claims that the token must have, with these values. */
    expect: z.record(z.string(), z.json()).default({}),
    /** In place of `expect`: the error code of the refusal that there must be. */
    refused: z.string().optional(),
  })
  .refine(
    ({ credentialFile, platform }) => (credentialFile === undefined) !== (platform === undefined),
    'give one of credentialFile and platform',
  )
  .refine(
    ({ expect, refused }) => refused === undefined || Object.keys(expect).length === 0,
    'a refusal has no claims: give one of expect and refused',
  );

const planSchema = z.strictObject({
  exchanges: z
    .array(exchangeSchema)
    .default([])
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'two have one name'),
  minCertificateDays: z.number().min(0).default(14),
  maxClockSkewSeconds: z.number().min(0).default(5),
});

export type ProbePlan = z.infer<typeof planSchema>;
export type ProbeExchange = ProbePlan['exchanges'][number];

export interface ProbePlanOptions {
  readonly config?: string;
  readonly credentialFile?: string;
  readonly platform?: string;
  readonly platformAudience?: string;
  readonly audience?: string;
  readonly scope?: string;
  /** `claim=value`. */
  readonly expect: readonly string[];
}

/** Throws `CommandFailure` with what is wrong. Without an exchange only what needs no secret is probed. */
export async function readProbePlan(
  { readTextFile }: Pick<CliDependencies, 'readTextFile'>,
  { config, expect, ...flags }: ProbePlanOptions,
): Promise<ProbePlan> {
  const { credentialFile, platform, platformAudience, audience, scope } = flags;
  const named = { credentialFile, platform, platformAudience, audience, scope };
  const isByFlags = expect.length > 0 || Object.values(named).some((value) => value !== undefined);
  if (config !== undefined && isByFlags) {
    throw usageFailure('--config names the exchanges: leave the flags of an exchange out');
  }
  if (config !== undefined) return understand(await readYaml(readTextFile, config), config);
  if (!isByFlags) return understand({}, 'the flags');
  const exchange = { name: 'exchange', ...named, expect: Object.fromEntries(expect.map(readClaim)) };
  return understand({ exchanges: [exchange] }, 'the flags');
}

async function readYaml(readTextFile: CliDependencies['readTextFile'], path: string): Promise<unknown> {
  const text = await readTextFile(path).catch(() => {
    throw usageFailure(`the configuration cannot be read: ${path}`);
  });
  try {
    return parse(text) ?? {};
  } catch {
    throw usageFailure(`${path} is not YAML`);
  }
}

function understand(value: unknown, place: string): ProbePlan {
  const parsed = planSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
  throw usageFailure(`${place}: ${problems.join('; ')}`);
}

function readClaim(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw usageFailure('--expect takes claim=value');
  return [text.slice(0, at), text.slice(at + 1)];
}
