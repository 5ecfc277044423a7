-- What an admin looks events up by, newest first. Each index ends as the pages are ordered: by time, then by request.
-- Every exchange pays for these on its way, so all but the first leave out what most rows have.
-- Appends wait while they are made: on a table of many millions, make the same ones `concurrently` beforehand.

create index if not exists audit_events_by_identity on audit_events (identity, at, request_id)
  where identity is not null;
create index if not exists audit_events_by_reason on audit_events (reason, at, request_id)
  where reason is not null;
create index if not exists audit_events_by_outcome on audit_events (outcome, at, request_id)
  where outcome <> 'permitted';
create index if not exists audit_events_by_action on audit_events (action, at, request_id)
  where action <> 'token.exchange';
