/** `npm run demo -- --keep`: everything stays up, the credentials stay fresh, and there are commands to paste. */
import { curlLines, send } from './call.ts';
import { askForAlpha, askForBeta, authorization, callService, files, writeCredentials } from './calls.ts';
import { ownTrustDomain, type Stage } from './stage.ts';
import type { Terminal } from './terminal.ts';

const grantFile = 'reports-on-alpha.yaml';
const grant = `apiVersion: mintmark/v1
kind: Grant
metadata: { name: reports-on-alpha }
spec:
  subjects:
    - spiffeId: spiffe://${ownTrustDomain}/demo-cluster/ns/shop/sa/reports
  resource: alpha
  scopes: [alpha, profile, email]
`;
const renewMillis = 120_000; // well before the shortest of them, five minutes, is over

/** Prints the commands and renews the credentials until the stage's signal is aborted. */
export async function keepStage(stage: Stage, terminal: Terminal): Promise<void> {
  stage.writePrivate(grantFile, grant);
  const from = (call: Parameters<typeof curlLines>[0]) => curlLines(call, '$D/');

  terminal.step(6, 'Your turn: everything stays up until Ctrl-C');
  terminal.say('Paste into another terminal, in this folder. Credentials are renewed every two minutes.');
  terminal.command([
    `export D=${stage.folder}`,
    `export MINTMARK_URL=${stage.mintmark.url} MINTMARK_DATA_DIR=$D/data`,
  ]);
  terminal.blank();
  terminal.say('Exchange, and use the token:');
  terminal.command(from(askForAlpha(stage, files.orders)));
  terminal.command(from(askForBeta(stage)));
  terminal.command(from(callService(stage.alphaUrl, files.alphaToken)));
  terminal.command(from(callService(stage.betaUrl, files.alphaToken)));
  terminal.blank();
  terminal.say('Be refused, and ask why:');
  terminal.command(from(askForAlpha(stage, files.reports)));
  terminal.command([`npx mintmark why REQUEST_ID`]);
  terminal.blank();
  terminal.say('Grant it, beside the policy of the file, and ask again:');
  terminal.command([`npx mintmark diff -f $D/${grantFile}`]);
  terminal.command([`npx mintmark apply -f $D/${grantFile}`]);
  terminal.command(from(askForAlpha(stage, files.reports)));
  terminal.blank();
  terminal.rows([
    ['documents', `${stage.mintmark.url}/docs`],
    ['keys', `${stage.mintmark.url}/.well-known/jwks.json`],
    ['server log', stage.mintmark.logFile],
  ]);

  const renewal = setInterval(() => {
    renew(stage).catch((error) => {
      if (!stage.signal.aborted) terminal.failed(`the credentials could not be renewed: ${String(error)}`);
    });
  }, renewMillis);
  try {
    await aborted(stage.signal);
  } finally {
    clearInterval(renewal);
  }
}

async function renew(stage: Stage): Promise<void> {
  await writeCredentials(stage);
  const exchanges = [
    [askForAlpha(stage, files.orders), files.alphaToken],
    [askForBeta(stage), files.betaToken],
  ] as const;
  for (const [call, file] of exchanges) {
    const { body } = await send(call, stage.folder, stage.signal);
    stage.writePrivate(file, authorization(String(body.access_token)));
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}
