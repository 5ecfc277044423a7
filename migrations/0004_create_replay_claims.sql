-- One-time credentials that were used, by the SHA-256 of their key; a row may go once it has expired.

create table replay_claims (
  key_hash bytea primary key,
  expires_at timestamptz not null
);

create index replay_claims_by_expiry on replay_claims (expires_at);
