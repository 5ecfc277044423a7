/** Proves of a stored audit that its chains are whole: nothing altered, removed, reordered or slipped in. */
import { type ChainLink, hashOfLink } from './audit-chain.ts';
import { type AuditCheckpoint, checkpointAction, readCheckpoint, trustedKeys } from './audit-checkpoint.ts';
import type { PublicJwk } from './ports.ts';

/** An event as it lies in the store. */
export interface StoredEvent {
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The event, letter by letter. */
  readonly text: string;
  readonly action: string;
  /** The signed checkpoint that it holds. */
  readonly checkpoint: string | undefined;
  /** Whether the columns beside the text say what it says. */
  readonly isConsistent: boolean;
  readonly link: ChainLink | undefined;
}

export type ChainProblem =
  | 'altered'
  | 'missing'
  | 'inserted'
  | 'relinked'
  | 'tail_removed'
  | 'checkpoint_mismatch'
  | 'checkpoint_unsigned'
  | 'checkpoint_unknown_key'
  | 'unchained';

/** The first thing that is wrong with a chain. */
export interface ChainFinding {
  readonly problem: ChainProblem;
  /** Undefined for events of no chain. */
  readonly writerId: string | undefined;
  /** Where it shows; the first event that is not there, where some are missing. */
  readonly sequence: number | undefined;
  readonly requestId: string | undefined;
}

export interface AuditVerdict {
  readonly events: number;
  readonly chains: number;
  readonly unchained: number;
  readonly checkpoints: number;
  /** Events that come after the last checkpoint of their chain: of these a tail could be gone unseen. */
  readonly uncovered: number;
  readonly findings: readonly ChainFinding[];
}

interface Place {
  readonly link: ChainLink;
  readonly requestId: string;
  readonly isTrue: boolean;
}

interface FoundCheckpoint {
  readonly link: ChainLink;
  readonly requestId: string;
  readonly checkpoint: AuditCheckpoint | undefined;
}

/**
 * Reads events in any order; some 300 bytes of each are kept. The keys are those that the issuer publishes, from where
 * whoever altered the audit cannot alter them.
 */
export async function verifyAudit(
  events: AsyncIterable<StoredEvent>,
  publicKeys: readonly PublicJwk[],
): Promise<AuditVerdict> {
  const chains = new Map<string, Place[]>();
  const checkpoints: FoundCheckpoint[] = [];
  const unchained: { readonly at: number; readonly requestId: string }[] = [];
  let firstChainedAt = Number.POSITIVE_INFINITY;
  let count = 0;
  for await (const { requestId, at, text, action, checkpoint, isConsistent, link } of events) {
    count += 1;
    if (link === undefined) {
      unchained.push({ at, requestId });
      continue;
    }
    firstChainedAt = Math.min(firstChainedAt, at);
    const isTrue = isConsistent && hashOfLink(link, text) === link.hash;
    const places = chains.get(link.writerId);
    if (places) places.push({ link, requestId, isTrue });
    else chains.set(link.writerId, [{ link, requestId, isTrue }]);
    if (isTrue && action === checkpointAction) {
      checkpoints.push({ link, requestId, checkpoint: readCheckpoint(checkpoint ?? '') });
    }
  }
  for (const places of chains.values()) places.sort((a, b) => a.link.sequence - b.link.sequence);
  const covered = new Map<string, number>();
  const findings = [...chains.values()].flatMap((places) => firstProblem(places) ?? []);
  findings.push(...checkpointFindings(checkpoints, publicKeys, chains, covered));
  // What was stored before chains began has none, and so has what an earlier version writes; the latter proves nothing.
  const late = unchained.filter(({ at }) => at >= firstChainedAt).sort((a, b) => a.at - b.at)[0];
  if (late !== undefined) {
    const { requestId } = late;
    findings.push({ problem: 'unchained', writerId: undefined, sequence: undefined, requestId });
  }
  return {
    events: count,
    chains: chains.size,
    unchained: unchained.length,
    checkpoints: checkpoints.length,
    uncovered: [...chains].reduce(
      (sum, [writerId, places]) =>
        sum + places.filter(({ link }) => link.sequence > (covered.get(writerId) ?? 0)).length,
      0,
    ),
    findings: firstOfEachChain(findings),
  };
}

function firstProblem(places: readonly Place[]): ChainFinding | undefined {
  let last = { sequence: 0, hash: '' };
  for (const { link, requestId, isTrue } of places) {
    const { writerId, sequence } = link;
    const finding = (problem: ChainProblem, where = sequence) => ({
      problem,
      writerId,
      sequence: where,
      requestId,
    });
    if (!isTrue) return finding('altered');
    if (sequence <= last.sequence) return finding('inserted');
    if (sequence > last.sequence + 1) return finding('missing', last.sequence + 1);
    if (link.previousHash !== last.hash) return finding('relinked');
    last = link;
  }
  return undefined;
}

/** Notes in `covered` how far each chain is under a checkpoint that holds. */
function checkpointFindings(
  found: readonly FoundCheckpoint[],
  publicKeys: readonly PublicJwk[],
  chains: ReadonlyMap<string, readonly Place[]>,
  covered: Map<string, number>,
): readonly ChainFinding[] {
  const trusted = trustedKeys(
    found.flatMap(({ checkpoint }) => checkpoint ?? []),
    publicKeys,
  );
  const isKeyKnown = ({ checkpoint }: FoundCheckpoint) =>
    checkpoint?.isSigned === true && trusted.has(checkpoint.key);
  const findings: ChainFinding[] = [];
  for (const each of found) {
    if (isKeyKnown(each)) findings.push(...headFindings(each, chains, covered));
  }
  // One whose key nobody vouches for any more stands where a checkpoint that holds came after it in its chain.
  for (const each of found) {
    const { link, requestId, checkpoint } = each;
    if (isKeyKnown(each)) continue;
    if (checkpoint?.isSigned && link.sequence <= (covered.get(link.writerId) ?? 0)) continue;
    const problem = checkpoint?.isSigned ? 'checkpoint_unknown_key' : 'checkpoint_unsigned';
    findings.push({ problem, writerId: link.writerId, sequence: link.sequence, requestId });
  }
  return findings;
}

function headFindings(
  { checkpoint, requestId }: FoundCheckpoint,
  chains: ReadonlyMap<string, readonly Place[]>,
  covered: Map<string, number>,
): readonly ChainFinding[] {
  return (checkpoint?.heads ?? []).flatMap(({ writerId, sequence, hash }) => {
    const places = chains.get(writerId) ?? [];
    // In a chain without gaps it stands at its number.
    const there = places[sequence - 1];
    const place =
      there?.link.sequence === sequence ? there : places.find(({ link }) => link.sequence === sequence);
    if (place?.link.hash === hash) {
      covered.set(writerId, Math.max(covered.get(writerId) ?? 0, sequence));
      return [];
    }
    const last = places.at(-1)?.link.sequence ?? 0;
    const isTailGone = place === undefined && last < sequence;
    return [
      {
        problem: isTailGone ? ('tail_removed' as const) : ('checkpoint_mismatch' as const),
        writerId,
        sequence: isTailGone ? last + 1 : sequence,
        requestId,
      },
    ];
  });
}

function firstOfEachChain(findings: readonly ChainFinding[]): readonly ChainFinding[] {
  const first = new Map<string, ChainFinding>();
  for (const finding of findings) {
    const key = finding.writerId ?? `${finding.problem} ${finding.requestId}`;
    const known = first.get(key);
    if (known === undefined || (finding.sequence ?? 0) < (known.sequence ?? 0)) first.set(key, finding);
  }
  return [...first.values()];
}
