-- The role of MINTMARK_EXCHANGE_DATABASE_URL: it reads policy and revocations, appends audit and claims one-time credentials; nothing more.
--
-- Run it after `mintmark migrate`, on Mintmark's database, as the owner of its tables (who needs CREATEROLE):
--   psql "$DATABASE_URL" --set ON_ERROR_STOP=1 --single-transaction --file deploy/exchange-role.sql
-- It may be run again, and should be after an upgrade. Then give the role a way to log in:
--   psql "$DATABASE_URL" --command '\password mintmark_exchange'

do $$
begin
  if not exists (select from pg_roles where rolname = 'mintmark_exchange') then
    create role mintmark_exchange login nosuperuser nocreatedb nocreaterole noinherit connection limit 200;
  end if;
  execute format('grant connect on database %I to mintmark_exchange', current_database());
  execute format('grant usage on schema %I to mintmark_exchange', current_schema());
end
$$;

-- Start from nothing, so that a grant that an earlier version gave does not outlive it.
revoke all on schema_migrations, policy_documents, policy_revisions, policy_changes, signing_keys, audit_events, jwt_svid_keys, key_cache,
  replay_claims, revocations
  from mintmark_exchange;

grant select on policy_documents, policy_revisions, revocations to mintmark_exchange;

-- Which documents a revision touched, so that only those are read again; not what they said before.
grant select (revision, kind, name) on policy_changes to mintmark_exchange;

-- Public key material only: wrapped_private_key is left out.
grant select (kid, algorithm, state, public_jwk, created_at) on signing_keys to mintmark_exchange;

-- Append: no select, no update, no delete.
grant insert on audit_events to mintmark_exchange;

grant select, insert, update, delete on replay_claims to mintmark_exchange;
