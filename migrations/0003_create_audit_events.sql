-- One row an attempt, written before its token is released.
-- Monthly partitions can come later without a rewrite: nothing refers to this table, no insert relies on a conflict,
-- and `at` is never null, so the primary key can become (request_id, at) and the table the first partition.

create table audit_events (
  request_id uuid primary key,
  at timestamptz not null,
  outcome text not null check (outcome in ('permitted', 'refused', 'failed')),
  action text not null,
  identity text,
  resource text,
  reason text,
  -- The whole event. json, not jsonb: a caller may send \u0000, which jsonb refuses; filter by the columns, never by event ->>.
  event json not null
);

create index audit_events_by_time on audit_events (at, request_id);
