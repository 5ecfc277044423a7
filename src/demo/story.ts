/** The demo's story, from the first credential to the record of it. Each step checks what it shows. */
import { readFileSync } from 'node:fs';
import { type Answer, type Call, curlLines, send } from './call.ts';
import {
  alphaScope,
  askForAlpha,
  askForBeta,
  authorization,
  callService,
  files,
  readEvent,
  writeCredentials,
} from './calls.ts';
import { ExpectationFailed, expectEqual } from './expectation.ts';
import { foreignTrustDomain, ownTrustDomain, type Stage } from './stage.ts';
import type { Terminal } from './terminal.ts';
import { shortenTokens, showToken } from './token-view.ts';

const ordersId = `spiffe://${ownTrustDomain}/demo-cluster/ns/shop/sa/orders`;
const reportsId = `spiffe://${ownTrustDomain}/demo-cluster/ns/shop/sa/reports`;
const billingId = `spiffe://${foreignTrustDomain}/billing`;

/** Tells steps 2 to 5. Throws `ExpectationFailed` at the first promise that does not hold. */
export async function tellStory(stage: Stage, terminal: Terminal): Promise<void> {
  const credentials = await writeCredentials(stage);
  const tokens: string[] = [];
  const requestIds: string[] = [];

  /** Shows the call, sends it, shows the answer. */
  const ask = async (call: Call): Promise<Answer> => {
    terminal.request(curlLines(call));
    const answer = await send(call, stage.folder, stage.signal);
    const { elapsedMillis, body } = answer;
    terminal.answer(answer.status, `in ${Math.max(1, Math.round(elapsedMillis))} ms`);
    for (const [name, value] of Object.entries(body)) {
      terminal.row(name, shortenTokens(typeof value === 'string' ? value : JSON.stringify(value)));
    }
    return answer;
  };
  /** The same with an exchange, whose request id is kept for the last step. */
  const exchange = async (call: Call): Promise<Answer> => {
    const answer = await ask(call);
    if (answer.requestId !== undefined) requestIds.push(answer.requestId);
    return answer;
  };
  const keepToken = (answer: Answer, file: string): string => {
    const { access_token: token } = answer.body;
    if (typeof token !== 'string') throw new ExpectationFailed('the answer holds no access_token');
    tokens.push(token);
    stage.writePrivate(file, authorization(token));
    return token;
  };
  const expect = (sentence: string, actual: unknown, expected: unknown) =>
    expectEqual(terminal, sentence, actual, expected);

  terminal.step(2, 'A workload of the platform: one request, nothing installed, no secret stored');
  terminal.say('The platform gave the workload `orders` this token:');
  terminal.blank();
  showToken(terminal, credentials.orders, { sub: 'who it is', aud: 'made for mintmark' });
  terminal.blank();
  terminal.say('A Grant says what that workload may have:');
  terminal.blank();
  terminal.quote(policyDocument(stage, 'Grant', 'orders-on-alpha'));
  const alphaAnswer = await exchange(askForAlpha(stage, files.orders));
  expect('mintmark verifies the token with the keys of its issuer, and mints one', alphaAnswer.status, 200);
  const alphaToken = keepToken(alphaAnswer, files.alphaToken);
  terminal.blank();
  terminal.say('The token, decoded:');
  terminal.blank();
  showToken(terminal, alphaToken, {
    header: 'RFC 9068',
    sub: 'always a SPIFFE ID',
    aud: 'for one service',
    scope: 'asked for and granted',
  });
  const atAlpha = await ask(callService(stage.alphaUrl, files.alphaToken));
  expect(
    'alpha accepts it',
    [atAlpha.status, atAlpha.body],
    [200, { service: 'alpha', sub: ordersId, aud: 'alpha', scope: alphaScope }],
  );
  const atBeta = await ask(callService(stage.betaUrl, files.alphaToken));
  expect('beta refuses it: it is not for beta', refusalOf(atBeta), [401, 'invalid_token']);

  terminal.step(3, 'A SPIFFE workload: its JWT-SVID is its OAuth client authentication');
  terminal.say(`The trust domain gave the workload \`billing\` this SVID:`);
  terminal.blank();
  showToken(terminal, credentials.billing, { sub: 'already a SPIFFE ID' });
  const betaAnswer = await exchange(askForBeta(stage));
  expect('mintmark verifies the SVID with the bundle of its trust domain', betaAnswer.status, 200);
  keepToken(betaAnswer, files.betaToken);
  const billingAtBeta = await ask(callService(stage.betaUrl, files.betaToken));
  expect(
    'beta accepts the token',
    [billingAtBeta.status, billingAtBeta.body],
    [200, { service: 'beta', sub: billingId, aud: 'beta', scope: 'beta' }],
  );
  const billingAtAlpha = await ask(callService(stage.alphaUrl, files.betaToken));
  expect('alpha refuses it: it is not for alpha', refusalOf(billingAtAlpha), [401, 'invalid_token']);

  terminal.step(4, 'A workload without a grant: refused, and the reason is not for the caller');
  terminal.say('`reports` has a good token of the same platform, and no Grant names it:');
  const refused = await exchange(askForAlpha(stage, files.reports));
  expect('no grant, no token', refusalOf(refused), [400, 'invalid_target']);
  const refusedId = String(refused.body.request_id);
  terminal.blank();
  terminal.say('The caller learns nothing about the policy. The admin asks with the request_id:');
  terminal.request([`mintmark why ${refusedId}`]);
  const why = await stage.mintmark.why(refusedId, stage.signal);
  terminal.quote(why);
  expect(
    'the answer names the reason, the identity and the grant that was looked at',
    [why.includes('policy.no_grant'), why.includes(reportsId), why.includes('orders-on-alpha')],
    [true, true, true],
  );

  terminal.step(5, 'What was recorded: each attempt, before its token left');
  stage.writePrivate(files.admin, authorization(stage.mintmark.readAdminToken()));
  const events: Answer['body'][] = [];
  for (const requestId of requestIds) {
    const { body } = await send(readEvent(stage, requestId), stage.folder, stage.signal);
    events.push(body);
    const why = typeof body.reason === 'string' ? body.reason : `by ${String(body.grants)}`;
    terminal.row(String(body.outcome), `${String(body.identity)} → ${String(body.resource)}`, why);
  }
  terminal.blank();
  expect(
    `${events.length} attempts, ${events.length} audit events`,
    events.map(({ outcome, identity }) => [outcome, identity]),
    [
      ['permitted', ordersId],
      ['permitted', billingId],
      ['refused', reportsId],
    ],
  );
  const secrets = [...Object.values(credentials), ...tokens, stage.mintmark.readAdminToken()];
  const written = `${JSON.stringify(events)}${readFileSync(stage.mintmark.logFile, 'utf8')}`;
  expect(
    'neither the audit nor the log of the server holds a credential or a token',
    findSecrets(secrets, written),
    [],
  );
}

/** Status and error code, which is all that a caller may build on. */
function refusalOf({ status, body }: Answer): readonly unknown[] {
  return [status, body.error];
}

/** The numbers of the secrets whose signature, or whole text, stands in `text`. */
function findSecrets(secrets: readonly string[], text: string): readonly number[] {
  return secrets.flatMap((secret, index) =>
    text.includes(secret.split('.').at(-1) ?? secret) ? [index] : [],
  );
}

/** One document of the policy as it was written, without its comments and its first line. */
function policyDocument({ policy }: Stage, kind: string, name: string): string {
  const documents = policy.split(/^---\n/m);
  const found = documents.find(
    (text) => text.includes(`\nkind: ${kind}\n`) && text.includes(`{ name: ${name} }`),
  );
  if (found === undefined) throw new Error(`the policy has no ${kind} ${name}`);
  return found
    .split('\n')
    .filter((line) => !/^(#|apiVersion)/.test(line))
    .join('\n')
    .trim();
}
