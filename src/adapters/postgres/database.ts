/** One database, on PostgreSQL or PGlite, as the stores of this folder use it. */
import type { Kysely } from 'kysely';
import type { Tables } from './tables.ts';

interface Transaction {
  readonly kysely: Kysely<Tables>;
  /** Runs several statements without parameters, such as a migration file. */
  script(statements: string): Promise<void>;
}

export interface PreparedStatement {
  readonly name: string;
  readonly text: string;
}

export interface Database {
  /** For single statements. A transaction is `transaction`: Kysely's own would leak into its neighbours on PGlite. */
  readonly kysely: Kysely<Tables>;
  /** Commits when `work` resolves, rolls back when it rejects. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /**
   * Runs one write on connections that nothing else uses, prepared once on each; durable when it resolves.
   * At most `maxAppendsInFlight` run at once.
   */
  append(statement: PreparedStatement, values: readonly string[]): Promise<void>;
  readonly maxAppendsInFlight: number;
  /** Calls back on each notice on the channel (the policy's by default), and after a time without hearing. Returns how to stop. */
  listen(listener: () => void, channel?: Channel): () => void;
  close(): Promise<void>;
}

export const policyChannel = 'mintmark_policy';
export const revocationChannel = 'mintmark_revocations';
export const channels = [policyChannel, revocationChannel] as const;
export type Channel = (typeof channels)[number];

/** Told of failures that no caller waits for, such as a lost idle connection. Must not throw. */
export type OnBackgroundError = (error: unknown) => void;
