-- Signing keys. The private half is encrypted before it comes here; the public half is in the open.

create table signing_keys (
  kid text primary key,
  algorithm text not null,
  state text not null check (state in ('active', 'retiring')),
  public_jwk json not null,
  wrapped_private_key bytea not null,
  created_at timestamptz not null
);

-- Two replicas that start at once make one key: the second insert conflicts here.
create unique index signing_keys_one_active on signing_keys (state) where state = 'active';
