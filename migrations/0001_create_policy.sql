-- The policy: its documents as their authors wrote them, and each change to them as one revision.

create table policy_documents (
  kind text not null,
  name text not null,
  managed_by text not null check (managed_by in ('rest', 'file')),
  -- json, not jsonb: it keeps the text, so key order and numbers come back as they were written.
  body json not null,
  -- The revision that last changed this document.
  revision bigint not null,
  primary key (kind, name)
);

create table policy_revisions (
  revision bigint primary key check (revision > 0),
  at timestamptz not null,
  author text not null,
  reason text
);

-- What a revision did: {"managedBy", "body"} before and after; null where the document did not exist.
create table policy_changes (
  revision bigint not null references policy_revisions (revision),
  kind text not null,
  name text not null,
  before json,
  after json,
  primary key (revision, kind, name),
  check (before is not null or after is not null)
);
