/** `npm run demo -- --keep`: everything stays up, the credentials stay fresh, and there are commands to paste. */
import { relative } from 'node:path';
import { curlLines, send } from './call.ts';
import { askForAlpha, askForBeta, authorization, callService, files, writeCredentials } from './calls.ts';
import { commandPath } from './mintmark-process.ts';
import type { Stage } from './stage.ts';
import type { Terminal } from './terminal.ts';

const renewMillis = 120_000; // well before the shortest of them, five minutes, is over

/** Prints the commands and renews the credentials until the stage's signal is aborted. */
export async function keepStage(stage: Stage, terminal: Terminal): Promise<void> {
  const command = relative(process.cwd(), commandPath);
  const from = (call: Parameters<typeof curlLines>[0]) => curlLines(call, '$D/');

  terminal.step(6, 'Your turn: everything stays up until Ctrl-C');
  terminal.say('Paste into another terminal, in this folder. Credentials are renewed every two minutes.');
  terminal.request([
    `export D=${stage.folder}`,
    `export MINTMARK_URL=${stage.mintmark.url} MINTMARK_DATA_DIR=$D/data`,
  ]);
  terminal.blank();
  terminal.say('Exchange, and use the token:');
  terminal.request(from(askForAlpha(stage, files.orders)));
  terminal.request(from(askForBeta(stage)));
  terminal.request(from(callService(stage.alphaUrl, files.alphaToken)));
  terminal.request(from(callService(stage.betaUrl, files.alphaToken)));
  terminal.blank();
  terminal.say('Be refused, and ask why:');
  terminal.request(from(askForAlpha(stage, files.reports)));
  terminal.request([`node ${command} why REQUEST_ID`]);
  terminal.blank();
  terminal.say(
    'Grant `reports` alpha, then be refused no more: edit the policy, see what differs, apply it:',
  );
  terminal.request([`$EDITOR $D/policy.yaml && node ${command} diff -f $D/policy.yaml`]);
  terminal.blank();
  terminal.row('documents', `${stage.mintmark.url}/docs`);
  terminal.row('keys', `${stage.mintmark.url}/.well-known/jwks.json`);
  terminal.row('server log', stage.mintmark.logFile);

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
