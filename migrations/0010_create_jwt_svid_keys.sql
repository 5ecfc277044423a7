-- Keys that sign JWT-SVIDs. A table of their own: the former version, which may still run beside this one, publishes and
-- signs access tokens with every row of signing_keys.

create table jwt_svid_keys (
  kid text primary key,
  algorithm text not null,
  state text not null check (state in ('next', 'active', 'retiring')),
  public_jwk json not null,
  wrapped_private_key bytea not null,
  created_at timestamptz not null,
  activates_at timestamptz not null,
  -- Of the whole set, alike in every row: higher after each key that comes or goes (`spiffe_sequence` of the bundle).
  sequence bigint not null default 0
);

create unique index jwt_svid_keys_one_active_per_algorithm on jwt_svid_keys (algorithm) where state = 'active';
