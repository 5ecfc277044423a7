/** `npm run demo`: the whole of Mintmark on one machine, told step by step. Leaves with 0 only when every promise held. */
import { parseArgs } from 'node:util';
import { ExpectationFailed } from './expectation.ts';
import { keepStage } from './keep.ts';
import { setStage } from './stage.ts';
import { tellStory } from './story.ts';
import { openTerminal } from './terminal.ts';

const usage = 'usage: npm run demo [-- --keep]\n  --keep  stay up after the story, with commands to try\n';
const interruptedExitCode = 130; // 128 + SIGINT, as shells count

async function run(options: { readonly keep: boolean }): Promise<number> {
  const terminal = openTerminal(process.stdout, process.env);
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interruption.abort());
  }
  process.stdout.on('error', () => interruption.abort()); // nobody reads on: `npm run demo | head`
  const { signal } = interruption;
  const startedAt = performance.now();
  let isTold = false;
  await using stack = new AsyncDisposableStack();
  try {
    terminal.title('Mintmark', 'credential → identity → grant → token');
    terminal.blank();
    terminal.say('Mintmark takes the identity that a platform already gives a workload, and gives one');
    terminal.say('short-lived access token for it. Here is that, with real processes and real tokens.');
    terminal.step(1, 'Everything starts, on this machine alone');
    const stage = await setStage(terminal, stack, signal);
    await tellStory(stage, terminal);
    isTold = true;
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    terminal.blank();
    terminal.held(`All of it held, in ${seconds} s.`);
    if (options.keep) await keepStage(stage, terminal);
    else terminal.say('To try it by hand: npm run demo -- --keep    To serve: npm start');
    terminal.blank();
    return 0;
  } catch (error) {
    if (signal.aborted) return isTold ? 0 : interruptedExitCode;
    if (!(error instanceof Error)) throw error;
    terminal.blank();
    terminal.failed(
      error instanceof ExpectationFailed ? `A promise did not hold. ${error.message}` : error.message,
    );
    return 1;
  }
}

try {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
  process.exitCode = await run(values);
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
