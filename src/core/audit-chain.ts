/** Chains of audit events: the hash of each covers the one before, so that none is altered, removed or slipped in unseen. */
import { hash, randomUUID } from 'node:crypto';

/** The last event of a chain, or that it has none yet (sequence 0). */
export interface ChainHead {
  readonly writerId: string;
  readonly sequence: number;
  /** SHA-256, base64url. */
  readonly hash: string;
}

/** Where an event stands in its chain. Sequences begin at 1 and have no gaps. */
export interface ChainLink extends ChainHead {
  /** The hash of the event before, empty for the first. */
  readonly previousHash: string;
}

/** Gives the event, as the text that is stored, the next place in a chain. */
export type Seal = (text: string) => ChainLink;

export interface AuditChains {
  /**
   * Runs a write that is durable as a whole or not at all, with a chain that no other write has meanwhile. What it sealed
   * belongs to the chain once it resolves. Where it rejects and may have been written all the same, the chain ends there.
   */
  write<T>(work: (seal: Seal) => Promise<T>): Promise<T>;
  /** The durable heads that moved since they were last covered. */
  heads(): readonly ChainHead[];
  /** A checkpoint over these heads is durable. */
  cover(heads: readonly ChainHead[]): void;
  /** Events written so far. */
  written(): number;
}

/** What the hash of a link must be. The text is the event's, letter by letter. */
export function hashOfLink(
  { writerId, sequence, previousHash }: Omit<ChainLink, 'hash'>,
  text: string,
): string {
  return hash('sha256', `${writerId}\n${sequence}\n${previousHash}\n${text}`, 'base64url');
}

/**
 * The chains of one process: as many as it writes at once, so that no write waits for another's hash. Each is a prefix of
 * what was sealed, whenever the process dies. `isUnwritten` says that a failed write left nothing for certain.
 */
export function openAuditChains(isUnwritten: (error: unknown) => boolean): AuditChains {
  const idle: ChainHead[] = [];
  const moved = new Map<string, ChainHead>();
  let written = 0;
  return {
    write: async (work) => {
      const start = idle.pop() ?? { writerId: randomUUID(), sequence: 0, hash: '' };
      let head = start;
      const seal: Seal = (text) => {
        const { writerId, sequence, hash: previousHash } = head;
        const place = { writerId, sequence: sequence + 1, previousHash };
        const link = { ...place, hash: hashOfLink(place, text) };
        head = link;
        return link;
      };
      try {
        const result = await work(seal);
        idle.push(head);
        written += head.sequence - start.sequence;
        if (head !== start) moved.set(head.writerId, head);
        return result;
      } catch (error) {
        if (head === start || isUnwritten(error)) idle.push(start);
        throw error;
      }
    },
    heads: () => [...moved.values()].map(({ writerId, sequence, hash }) => ({ writerId, sequence, hash })),
    cover: (heads) => {
      for (const { writerId, sequence } of heads) {
        if (moved.get(writerId)?.sequence === sequence) moved.delete(writerId);
      }
    },
    written: () => written,
  };
}
