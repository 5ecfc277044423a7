-- The chain that an event belongs to, and its place there. Events of a version that knows no chains have none.
-- No index: whoever proves the chains reads them whole, and every exchange would pay for it.

alter table audit_events
  add column writer_id uuid,
  add column sequence bigint,
  add column previous_hash text,
  add column hash text;
