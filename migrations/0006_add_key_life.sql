-- A key's life: published as `next`, signing from activates_at on, then `retiring` until its last token has expired.
-- The former version still runs beside this one: it publishes every row, signs with the active one, and leaves activates_at null.

alter table signing_keys add column activates_at timestamptz;
alter table signing_keys drop constraint signing_keys_state_check;
alter table signing_keys add constraint signing_keys_state_check check (state in ('next', 'active', 'retiring'));
create unique index signing_keys_one_active_per_algorithm on signing_keys (algorithm) where state = 'active';
drop index signing_keys_one_active;
