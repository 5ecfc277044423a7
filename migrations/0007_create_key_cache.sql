-- Other issuers' public keys as last fetched, for installations without Redis; an entry is sealed by its writer, and may be lost.

create table key_cache (
  name_hash bytea primary key,
  value text not null,
  expires_at timestamptz not null
);
