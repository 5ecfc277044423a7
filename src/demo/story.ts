/** The demo's story, from the first credential to the record of it. Each step checks what it shows. */
import { readFileSync } from 'node:fs';
import { decodeJwt } from 'jose';
import { type Answer, curlLines, send } from './call.ts';
import {
  alphaScope,
  askForAlpha,
  askForBeta,
  authorization,
  type Credentials,
  callService,
  files,
  readEvent,
  writeCredentials,
} from './calls.ts';
import { createNarrator, type Narrator } from './narrator.ts';
import { foreignTrustDomain, ownTrustDomain, type Stage } from './stage.ts';
import type { Terminal } from './terminal.ts';

const ordersId = `spiffe://${ownTrustDomain}/demo-cluster/ns/shop/sa/orders`;
const reportsId = `spiffe://${ownTrustDomain}/demo-cluster/ns/shop/sa/reports`;
const billingId = `spiffe://${foreignTrustDomain}/billing`;

/** Tells steps 2 to 5. Throws `ExpectationFailed` at the first promise that does not hold. */
export async function tellStory(stage: Stage, terminal: Terminal): Promise<void> {
  const narrator = createNarrator(stage, terminal);
  const credentials = await writeCredentials(stage);
  await exchangePlatformToken(stage, narrator, credentials);
  await exchangeSvid(stage, narrator, credentials);
  await refuseWithoutGrant(stage, narrator);
  await showRecord(stage, narrator, credentials);
}

async function exchangePlatformToken(stage: Stage, narrator: Narrator, { orders }: Credentials) {
  const { terminal, exchange, use, decode, expect } = narrator;
  terminal.step(2, 'A workload of the platform: one request, nothing installed, no secret stored');
  decode('The platform gave the workload `orders` this token:', orders, {
    sub: 'who it is',
    aud: 'whom it is for: mintmark',
  });
  terminal.say('A Grant says what that workload may have:');
  terminal.blank();
  terminal.quote(policyDocument(stage, 'Grant', 'orders-on-alpha'));

  const minted = await exchange(askForAlpha(stage, files.orders));
  expect('mintmark verifies it with the keys of its issuer, and mints a token', minted.status, 200);
  const token = narrator.keepToken(minted, files.alphaToken);
  terminal.blank();
  decode('The token, decoded, is an access token of RFC 9068:', token, {
    sub: 'who it is, always as a SPIFFE ID',
    aud: 'this service and no other',
    scope: 'as asked: the Grant permits all of it',
  });
  terminal.say('alpha and beta read the public keys of mintmark, and validate alone:');

  const atAlpha = await use(callService(stage.alphaUrl, files.alphaToken));
  const seen = { service: 'alpha', sub: ordersId, aud: 'alpha', scope: alphaScope };
  expect('alpha accepts it', [atAlpha.status, atAlpha.body], [200, seen]);
  const atBeta = await use(callService(stage.betaUrl, files.alphaToken));
  expect('beta refuses it', refusalOf(atBeta), [401, 'invalid_token']);
}

async function exchangeSvid(stage: Stage, narrator: Narrator, { billing }: Credentials) {
  const { terminal, exchange, use, decode, expect } = narrator;
  terminal.step(3, 'A SPIFFE workload: its JWT-SVID is its OAuth client authentication');
  decode('The trust domain gave the workload `billing` this SVID:', billing, {
    sub: 'who it is',
    aud: 'whom it is for: mintmark',
  });
  terminal.say('Any OAuth client that can send a client assertion can ask:');

  const minted = await exchange(askForBeta(stage), {
    expires_in: 'beta allows 10 minutes, the SVID has less',
  });
  expect('mintmark verifies it with the bundle of its trust domain, and mints a token', minted.status, 200);
  const token = narrator.keepToken(minted, files.betaToken);
  const [ends = Infinity, limit = 0] = [decodeJwt(token).exp, decodeJwt(billing).exp];
  expect('the token does not outlive the SVID', ends <= limit, true);

  const atBeta = await use(callService(stage.betaUrl, files.betaToken));
  const seen = { service: 'beta', sub: billingId, aud: 'beta', scope: 'beta' };
  expect('beta accepts it', [atBeta.status, atBeta.body], [200, seen]);
  const atAlpha = await use(callService(stage.alphaUrl, files.betaToken));
  expect('alpha refuses it', refusalOf(atAlpha), [401, 'invalid_token']);
}

async function refuseWithoutGrant(stage: Stage, { terminal, exchange, expect }: Narrator) {
  terminal.step(4, 'A workload without a grant: refused, and only the admin learns why');
  terminal.say('`reports` has a good token of the same platform, but no Grant names it:');
  const refused = await exchange(askForAlpha(stage, files.reports));
  expect('no grant, no token', refusalOf(refused), [400, 'invalid_target']);
  terminal.blank();
  terminal.say(
    'The answer says nothing about the policy. Its request_id opens the whole reason, for the admin:',
  );

  const requestId = String(refused.body.request_id);
  terminal.request([`mintmark why ${requestId}`]);
  const why = await stage.mintmark.why(requestId, stage.signal);
  terminal.quote(why);
  const isNamed = ['policy.no_grant', reportsId, 'orders-on-alpha'].map((text) => why.includes(text));
  expect('the reason, the identity and the grant that was looked at', isNamed, [true, true, true]);
}

async function showRecord(stage: Stage, narrator: Narrator, credentials: Credentials) {
  const { terminal, requestIds, tokens, expect } = narrator;
  terminal.step(5, 'What was recorded: each attempt, before its answer left');
  const adminToken = stage.mintmark.readAdminToken();
  stage.writePrivate(files.admin, authorization(adminToken));
  const calls = requestIds.map((requestId) => readEvent(stage, requestId));
  const events: Answer['body'][] = [];
  for (const call of calls) events.push((await send(call, stage.folder, stage.signal)).body);

  terminal.say('The admin API answers for each request_id:');
  terminal.request(calls.slice(0, 1).flatMap((call) => curlLines(call)));
  terminal.rows(
    events.map(({ outcome, identity, resource, reason, grants }) => [
      String(outcome),
      `${identity} → ${resource}`,
      String(reason ?? grants),
    ]),
  );
  const told = events.map(({ outcome, identity }) => [outcome, identity]);
  expect(`${events.length} attempts, ${events.length} audit events`, told, [
    ['permitted', ordersId],
    ['permitted', billingId],
    ['refused', reportsId],
  ]);
  const secrets = [...Object.values(credentials), ...tokens, adminToken];
  const written = `${JSON.stringify(events)}${readFileSync(stage.mintmark.logFile, 'utf8')}`;
  expect('no credential and no token in the audit or in the server’s log', countFound(secrets, written), 0);
}

/** Status and error code, which is all that a caller may build on. */
function refusalOf({ status, body }: Answer): readonly unknown[] {
  return [status, body.error];
}

/** How many of the secrets stand in the text, whole or by their signature alone. */
function countFound(secrets: readonly string[], text: string): number {
  return secrets.filter((secret) => text.includes(secret.split('.').at(-1) ?? secret)).length;
}

/** One document of the policy as it was written, without its comments and its first line. */
function policyDocument({ policy }: Stage, kind: string, name: string): string {
  const found = policy
    .split(/^---\n/m)
    .find((text) => text.includes(`\nkind: ${kind}\n`) && text.includes(`{ name: ${name} }`));
  if (found === undefined) throw new Error(`the policy has no ${kind} ${name}`);
  return found.replaceAll(/^(#|apiVersion).*\n/gm, '').trim();
}
