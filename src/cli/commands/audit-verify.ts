/** `mintmark audit verify`: proves that nothing in the stored audit was altered, removed, reordered or slipped in. */
import { z } from 'zod';
import type { AuditVerdict, ChainFinding } from '../../core/audit-verify.ts';
import { paths } from '../../core/discovery.ts';
import type { PublicJwk } from '../../core/ports.ts';
import { send } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { plainJson } from '../paint.ts';
import { readServerUrl } from '../server.ts';

export interface AuditVerifyOptions {
  readonly since?: string;
  readonly until?: string;
  readonly jwks?: readonly string[];
  readonly json?: boolean;
}

const problems: Readonly<Record<ChainFinding['problem'], string>> = {
  altered: 'was altered',
  missing: 'is missing',
  inserted: 'stands at a place that is taken',
  relinked: 'does not follow the event before it',
  tail_removed: 'and what follows it are missing, though a checkpoint names them',
  checkpoint_mismatch: 'is not the one that a checkpoint names',
  checkpoint_unsigned: 'is a checkpoint whose signature does not hold',
  checkpoint_unknown_key: 'is a checkpoint by a key that nobody vouches for: give its JWKS by --jwks',
  unchained: 'is in no chain, though chains had begun: an earlier version wrote it, or somebody else',
};

const jwkSchema = z.object({
  keys: z.array(
    z
      .looseObject({ kty: z.string(), kid: z.string(), alg: z.string(), use: z.literal('sig') })
      .catchall(z.string()),
  ),
});

/** Reads the database itself, and asks the server for nothing but the keys that it publishes. Exit code 1 where anything is wrong. */
export async function auditVerify(
  dependencies: CliDependencies,
  { since, until, jwks, json }: AuditVerifyOptions,
): Promise<ExitCode> {
  const { out } = dependencies;
  const window = { since: readTime(since, '--since'), until: readTime(until, '--until') };
  const keys = await publishedKeys(dependencies, jwks ?? []);
  const verdict = await dependencies.verifyAudit(window, keys);
  const isWhole = verdict.findings.length === 0;
  if (json) out.write(`${plainJson(inSnakeCase(verdict))}\n`);
  else out.write(describe(verdict));
  return isWhole ? exitCodes.done : exitCodes.refused;
}

function readTime(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const parsed = z.iso.datetime({ offset: true }).safeParse(text);
  if (!parsed.success) throw usageFailure(`${name} is no time such as 2026-01-31T08:00:00Z: ${text}`);
  return Date.parse(parsed.data);
}

async function publishedKeys(
  dependencies: CliDependencies,
  files: readonly string[],
): Promise<readonly PublicJwk[]> {
  if (files.length === 0) {
    const url = `${readServerUrl(dependencies)}${paths.jwks}`;
    const response = await send(dependencies, url, {});
    return readKeys(await response.text(), url);
  }
  const texts = await Promise.all(
    files.map(async (path) => ({
      path,
      text: await dependencies.readTextFile(path).catch(() => {
        throw usageFailure(`--jwks cannot be read: ${path}`);
      }),
    })),
  );
  return texts.flatMap(({ path, text }) => readKeys(text, path));
}

function readKeys(text: string, where: string): readonly PublicJwk[] {
  try {
    return jwkSchema.parse(JSON.parse(text)).keys;
  } catch {
    throw new CommandFailure(`${where} is no JWKS of a Mintmark server`);
  }
}

function describe({ events, chains, unchained, checkpoints, uncovered, findings }: AuditVerdict): string {
  const lines = findings.map(({ problem, writerId, sequence, requestId }) => {
    const where = writerId === undefined ? '' : `chain ${writerId}, `;
    const which = sequence === undefined ? `request ${requestId}` : `event ${sequence}`;
    const at = sequence === undefined ? '' : ` (seen at request ${requestId})`;
    return `${where}${which}${at} ${problems[problem]}\n`;
  });
  const counts = `${events} events in ${chains} chains under ${checkpoints} checkpoints`;
  return [
    ...lines,
    `${findings.length === 0 ? 'whole' : 'NOT whole'}: ${counts}\n`,
    ...(unchained > 0 ? [`${unchained} events are in no chain: of them nothing is proven\n`] : []),
    ...(uncovered > 0
      ? [
          `${uncovered} events are newer than the last checkpoint of their chain: some after them may be gone\n`,
        ]
      : []),
  ].join('');
}

function inSnakeCase({ findings, ...counts }: AuditVerdict) {
  return {
    whole: findings.length === 0,
    ...counts,
    findings: findings.map(({ problem, writerId, sequence, requestId }) => ({
      problem,
      writer_id: writerId,
      sequence,
      request_id: requestId,
    })),
  };
}
