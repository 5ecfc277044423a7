/** An audit event as a person wants to read it: what was asked, by whom, what came of it and why, then the trace. */
import { z } from 'zod';
import { type Paint, plain } from './paint.ts';
import { sentenceOf } from './reason-sentences.ts';

const text = z.string().optional();

export const shownCheckSchema = z.object({
  check: z.string(),
  grant: text,
  ok: z.boolean(),
  expected: text,
  actual: text,
});

/** What is shown of an event; a later server may say more. */
export const eventSchema = z.object({
  request_id: z.string(),
  at: z.string(),
  outcome: z.enum(['permitted', 'refused', 'failed']),
  action: z.string(),
  remote_address: z.string(),
  credential_kind: text,
  issuer: text,
  trust_domain: text,
  identity: text,
  subject: text,
  actors: z.array(z.string()).optional(),
  claims: z.record(z.string(), z.json()).optional(),
  audience: text,
  resource: text,
  requested_scopes: z.array(z.string()).optional(),
  requested_format: text,
  requested_claims: z.array(z.string()).optional(),
  scopes: z.array(z.string()).optional(),
  grants: z.array(z.string()).optional(),
  reason: text,
  detail: text,
  error_code: text,
  checks: z.array(shownCheckSchema).optional(),
  policy_revision: z.int().optional(),
  jti: text,
  reused: z.boolean().optional(),
  token_expires_at: text,
  cnf: z.record(z.string(), z.string()).optional(),
  actor: text,
  summary: text,
});

export type ShownEvent = z.infer<typeof eventSchema>;

const labelWidth = 11;

/** Ends with a newline. */
export function printEvent(event: ShownEvent, paint: Paint): string {
  const rows = event.action === 'token.exchange' ? exchangeRows(event) : adminRows(event);
  const lines = rows.flatMap(([label, value]) =>
    value === undefined || value === '' ? [] : [`${paint('dim', label.padEnd(labelWidth))}${plain(value)}`],
  );
  return `${[headline(event, paint), '', ...lines, ...printChecks(event.checks ?? [], paint)].join('\n')}\n`;
}

function headline({ action, outcome, reason }: ShownEvent, paint: Paint): string {
  const isExchange = action === 'token.exchange';
  const subject = isExchange ? 'A token was' : `${plain(action)} was`;
  if (outcome === 'permitted') {
    return `${paint('green', '✓')} ${paint('bold', `${subject} ${isExchange ? 'given' : 'done'}.`)}`;
  }
  const verdict = outcome === 'refused' ? 'refused' : 'withheld, through no fault of the caller';
  const because = reason === undefined ? '' : `: ${plain(sentenceOf(reason))}`;
  return `${paint('red', '✗')} ${paint('bold', `${subject} ${verdict}${because}.`)}`;
}

type Row = readonly [label: string, value: string | undefined];

function exchangeRows(event: ShownEvent): readonly Row[] {
  return [
    ['caller', event.identity ?? 'unproven'],
    ['vouched by', vouchedBy(event)],
    ['for', event.subject],
    ['acting', event.actors?.join(', for ') ?? event.actor],
    ['claims', event.claims && describeClaims(event.claims)],
    ['asked for', askedFor(event)],
    ['given', given(event)],
    ['grants', event.grants?.join(', ')],
    ['bound to', event.cnf && Object.entries(event.cnf).flat().join(' ')],
    ...reasonRows(event),
    ...originRows(event),
  ];
}

function adminRows(event: ShownEvent): readonly Row[] {
  return [
    ['actor', event.actor ?? 'unproven'],
    ['summary', event.summary],
    ...reasonRows(event),
    ...originRows(event),
  ];
}

function reasonRows({ reason, detail, error_code: code }: ShownEvent): readonly Row[] {
  return [
    ['reason', reason],
    ['detail', detail],
    ['told', code],
  ];
}

function originRows(event: ShownEvent): readonly Row[] {
  const revision = event.policy_revision;
  return [
    ['policy', revision === undefined ? undefined : `revision ${revision}`],
    ['when', event.at],
    ['from', event.remote_address],
    ['request', event.request_id],
  ];
}

function vouchedBy({ issuer, trust_domain: domain, credential_kind: kind }: ShownEvent): string | undefined {
  const document = issuer === undefined ? domain && `TrustDomain/${domain}` : `Issuer/${issuer}`;
  return document === undefined || kind === undefined ? document : `${document} (${kind})`;
}

function describeClaims(claims: NonNullable<ShownEvent['claims']>): string {
  return Object.entries(claims)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}

function askedFor(event: ShownEvent): string {
  const { audience, requested_scopes: scopes, requested_format: format, requested_claims: claims } = event;
  const token = {
    jwt: 'a JWT for ',
    access_token: '',
    'jwt-svid': 'a JWT-SVID for ',
    'jwt-grant': 'a JWT grant for ',
  }[format ?? 'access_token'];
  const target = `${token}${audience ?? 'the default target'}`;
  const scoped = scopes === undefined ? target : `${target} with scope ${scopes.join(' ') || '(none)'}`;
  return claims === undefined ? scoped : `${scoped}, adding ${claims.join(' ')}`;
}

function given({ jti, scopes, resource, reused, token_expires_at: end }: ShownEvent): string | undefined {
  if (jti === undefined) return undefined;
  const scope =
    scopes === undefined || scopes.length === 0 ? 'without a scope' : `with scope ${scopes.join(' ')}`;
  return `a token ${jti} for ${resource ?? 'the resource'} ${scope}${end === undefined ? '' : `, until ${end}`}${reused ? ', minted for an earlier exchange' : ''}`;
}

/** The checks of a decision, in order; no line where there are none. */
export function printChecks(checks: NonNullable<ShownEvent['checks']>, paint: Paint): readonly string[] {
  if (checks.length === 0) return [];
  return [
    '',
    paint('dim', 'what was looked at, in order'),
    ...checks.flatMap(({ check, grant, ok, expected, actual }) => [
      `${ok ? paint('green', '✓') : paint('red', '✗')} ${plain(check)}${grant === undefined ? '' : ` of Grant/${plain(grant)}`}`,
      ...(expected === undefined ? [] : [`    ${paint('dim', 'expected ')}${plain(expected)}`]),
      ...(actual === undefined ? [] : [`    ${paint('dim', 'actual   ')}${plain(actual)}`]),
    ]),
  ];
}
