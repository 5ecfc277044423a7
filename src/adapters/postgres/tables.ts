/** The tables of migrations/, as Kysely sees them. JSON goes in as text, so that both drivers store what was written. */
import type { ColumnType, Generated } from 'kysely';
import type { TokenAlgorithm } from '../../core/algorithm.ts';
import type { AuditEvent, Outcome } from '../../core/audit.ts';
import type { Json } from '../../core/json.ts';
import type { Kind, ManagedBy } from '../../core/policy/document.ts';
import type { PublicJwk, StoredKey } from '../../core/ports.ts';
import type { RevocationKind } from '../../core/revocation.ts';

/** Written as ISO 8601 text, read as a Date. */
type Timestamp = ColumnType<Date, string, string>;
/** int8: node-postgres reads it as text, PGlite as a number. */
type BigInteger = ColumnType<string | number, number, number>;

/** Written in SQL alone. */
type StoredSide = ColumnType<{ readonly managedBy: ManagedBy; readonly body: Json } | null, never, never>;

export interface Tables {
  schema_migrations: { name: string; sha256: string; applied_at: Timestamp };
  policy_documents: {
    kind: Kind;
    name: string;
    managed_by: ManagedBy;
    body: ColumnType<Json, string, string>;
    revision: BigInteger;
  };
  policy_revisions: { revision: BigInteger; at: Timestamp; author: string; reason: string | null };
  policy_changes: {
    revision: BigInteger;
    kind: Kind;
    name: string;
    before: StoredSide;
    after: StoredSide;
  };
  signing_keys: {
    kid: string;
    algorithm: TokenAlgorithm;
    state: StoredKey['state'];
    public_jwk: ColumnType<PublicJwk, string, string>;
    wrapped_private_key: Uint8Array;
    created_at: Timestamp;
    activates_at: ColumnType<Date | null, string, string>;
  };
  jwt_svid_keys: Tables['signing_keys'] & { sequence: BigInteger };
  audit_events: {
    request_id: string;
    at: Timestamp;
    outcome: Outcome;
    action: string;
    identity: string | null;
    resource: string | null;
    reason: string | null;
    event: ColumnType<AuditEvent, string, string>;
    writer_id: string | null;
    sequence: ColumnType<string | number | null, number | undefined, never>;
    previous_hash: string | null;
    hash: string | null;
  };
  key_cache: { name_hash: Uint8Array; value: string; expires_at: Timestamp };
  revocations: {
    id: Generated<string | number>;
    kind: RevocationKind;
    target: string;
    subjects: string;
    owner: string | null;
    before: Timestamp;
    at: Timestamp;
    author: string;
    reason: string | null;
    expires_at: Timestamp;
  };
  replay_claims: { key_hash: Uint8Array; expires_at: Timestamp };
}

/** Milliseconds since the epoch as PostgreSQL reads them. */
export function timestamp(millis: number): string {
  return new Date(millis).toISOString();
}
