-- What no token may be accepted of any more. The last word on a target stands for those before it, and a row may go
-- once no token that it covers can be alive; the audit keeps the history.

create table revocations (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('token', 'identity', 'issuer', 'key')),
  -- A jti, a SPIFFE ID, `Issuer/name` or `TrustDomain/name`, a kid.
  target text not null,
  -- Of an issuer: the SPIFFE IDs that it could give when it was revoked.
  subjects text not null default '',
  -- Of a token: whose it was, where that is known.
  owner text,
  -- Tokens that were issued before this moment are covered; those of a token's or a key's own all are.
  before timestamptz not null,
  at timestamptz not null,
  author text not null,
  reason text,
  expires_at timestamptz not null
);

create unique index revocations_by_target on revocations (kind, target, subjects);
create index revocations_by_owner on revocations (owner) where owner is not null;
