/** The commands and their options; each is a file under `commands/`. */
import { Command, CommanderError } from 'commander';
import { type ApplyOptions, apply, type DiffOptions, diff } from './commands/apply.ts';
import { type AuditEventsOptions, auditEvents } from './commands/audit-events.ts';
import { type AuditVerifyOptions, auditVerify } from './commands/audit-verify.ts';
import { type CheckIssuerOptions, checkIssuer } from './commands/check-issuer.ts';
import { doctor } from './commands/doctor.ts';
import { type ExplainOptions, explain } from './commands/explain.ts';
import { type InitOptions, init } from './commands/init.ts';
import { keysList, keysRevoke, keysRotate, type RotateOptions, type TurnOptions } from './commands/keys.ts';
import type { LoginOptions } from './commands/login.ts';
import { migrate } from './commands/migrate.ts';
import { policyRevisions, policyRollback } from './commands/policy.ts';
import type { ProbeOptions } from './commands/probe.ts';
import {
  type RevocationsListOptions,
  type RevokeOptions,
  revocationsList,
  revoke,
} from './commands/revocations.ts';
import { type TestOptions, test } from './commands/test.ts';
import { type TokenOptions, token } from './commands/token.ts';
import { type ValidateOptions, validate } from './commands/validate.ts';
import { why } from './commands/why.ts';
import type { CliDependencies } from './dependencies.ts';
import { CommandFailure, exitCodes } from './exit.ts';
import { createPaint, plainJson } from './paint.ts';

const environmentHelp = `
Environment:
  MINTMARK_URL         the server (default: http://127.0.0.1:8080)
  MINTMARK_TOKEN       the admin token, or its file as MINTMARK_TOKEN_FILE
                       (default: that of mintmark login, or the embedded
                       server's, in MINTMARK_DATA_DIR)

Exit codes: 0 done, 1 refused or differs, 2 usage.`;

/** Runs one command line, without the program's own name. Resolves with the exit code; never rejects. */
export async function runCommand(args: readonly string[], dependencies: CliDependencies): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = createProgram(dependencies, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    return reportFailure(error, dependencies, args.includes('--json'));
  }
}

function createProgram(dependencies: CliDependencies, finish: (exitCode: number) => void): Command {
  const { out, err, version } = dependencies;
  const program = new Command('mintmark')
    .description('The token exchange for workloads: platform identity in, short-lived access token out.')
    .version(version)
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', environmentHelp)
    .showHelpAfterError('(mintmark --help, or --help after a command, shows what there is)')
    .exitOverride()
    .configureOutput({
      writeOut: out.write,
      writeErr: err.write,
      outputError: (message, write) => write(message.replace(/^error:/, 'mintmark:')),
    });

  const command = (name: string, description: string) =>
    program.command(name).description(description).copyInheritedSettings(program);
  const file = ['-f, --file <path...>', 'policy files or folders, YAML or JSON'] as const;
  const set = ['--set <name>', 'remember these documents as the set of that name'] as const;
  const prune = ['--prune', 'delete what the set wrote before and the files no longer hold'] as const;

  command('serve', 'Run the server until SIGTERM or SIGINT.').action(async () =>
    finish(await dependencies.serve()),
  );
  command('migrate', "Bring the database's schema up to date.").action(async (_options, self: Command) =>
    finish(await migrate(dependencies, self.optsWithGlobals())),
  );
  command(
    'doctor',
    'Examine what a server in this environment depends on; exit code 1 where something is wrong.',
  ).action(async (_options, self: Command) => finish(await doctor(dependencies, self.optsWithGlobals())));
  command('apply', "Create and replace documents of the server's policy, whole.")
    .requiredOption(...file)
    .option(...set)
    .option(...prune)
    .option('--reason <text>', 'why, for the history and the audit')
    .option('--dry-run', 'only say what would change')
    .action(async (_options, self: Command) =>
      finish(await apply(dependencies, self.optsWithGlobals<ApplyOptions>())),
    );
  command('diff', 'Say what apply would change; exit code 1 where that is anything.')
    .requiredOption(...file)
    .option(...set)
    .option(...prune)
    .option('--replay <n>', 'also decide the latest <n> exchanges again, at most 1000', '0')
    .action(async (_options, self: Command) =>
      finish(await diff(dependencies, self.optsWithGlobals<DiffOptions>())),
    );
  const issuer = ['--issuer <url>', 'the issuer (default: MINTMARK_ISSUER)'] as const;
  const trustDomain = [
    '--trust-domain <name>',
    "the trust domain (default: MINTMARK_TRUST_DOMAIN, or the issuer's host)",
  ] as const;
  command('init', 'Write a first policy for a platform, then validate and test it; overwrites nothing.')
    .requiredOption('--platform <name>', 'the platform whose workloads are to get tokens')
    .option('-f, --file <path>', 'the file to write', 'policy.yaml')
    .option('--token <path>', 'a sample token, whose ids are filled in; - reads standard input')
    .option('--name <name>', 'the name of the Issuer document (default: that of the platform)')
    .option('--audience <audience>', 'the service that tokens are for', 'https://service.example')
    .option('--scope <scope>', 'what the workload may do there', 'read')
    .option('--jwks <path>', 'the JWK set of customer-key')
    .option('--region-certificate <region=path>', 'the certificate of aws-instance-identity')
    .option(...issuer)
    .option(...trustDomain)
    .action(async (_options, self: Command) =>
      finish(
        await init(dependencies, self.optsWithGlobals<InitOptions>(), [
          (files) => validate(dependencies, files),
          (files) => test(dependencies, { ...files, report: [] }),
        ]),
      ),
    );
  command('validate', 'Check policy files as the server would, without one.')
    .requiredOption(...file)
    .option(...issuer)
    .option(...trustDomain)
    .action(async (_options, self: Command) =>
      finish(await validate(dependencies, self.optsWithGlobals<ValidateOptions>())),
    );
  command('test', 'Run the PolicyTest documents of policy files, without a server.')
    .requiredOption(...file)
    .option(...issuer)
    .option(...trustDomain)
    .option('--report <format=path>', 'also write junit=FILE or json=FILE; may be repeated', append, [])
    .option('--coverage', 'name the grants and issuers by which no test gets anything')
    .option('--coverage-min <percent>', 'end with 1 where less of them is covered')
    .action(async (_options, self: Command) =>
      finish(await test(dependencies, self.optsWithGlobals<TestOptions>())),
    );
  command('explain', 'Say what the server would answer to a request, and why; exit code 1 where not a token.')
    .option('--audience <audience>', 'the one target (default: the one that the grants name)')
    .option('--scope <scopes>', 'scopes, divided by spaces (default: those that the grants name)')
    .option('--token-format <format>', 'access_token or jwt-svid (default: access_token)')
    .option('--proof <kind>', 'what is shown besides to bind the token to: dpop or mtls')
    .option('--credential-file <path>', 'a credential; - reads standard input')
    .option('--lane <lane>', 'how it would come in: client_assertion, assertion, subject_token or bearer')
    .option('--issuer <name>', 'in place of a credential: the Issuer document of --claims')
    .option('--spiffe-id <id>', 'in place of a credential: the identity')
    .option('--claims <json>', 'the claims, or @FILE')
    .option('--additional-claims <json>', 'claims that the token shall carry besides, or @FILE')
    .option('--at <time>', 'decide at that time, as in 2027-01-01T00:00:00Z')
    .action(async (_options, self: Command) =>
      finish(await explain(dependencies, self.optsWithGlobals<ExplainOptions>())),
    );
  command('why', 'Show why a request ended as it did.')
    .argument('<request-id>', 'the request_id of the answer, or its x-request-id header')
    .action(async (requestId: string, _options, self: Command) =>
      finish(await why(dependencies, requestId, self.optsWithGlobals())),
    );
  const audit = program.command('audit').description('Look at what happened.').copyInheritedSettings(program);
  audit
    .command('verify')
    .description('Prove that nothing was altered in the stored audit; exit code 1 where something was.')
    .option('--since <time>', 'of the chains that have an event at this time or later')
    .option('--until <time>', 'and before this one')
    .option('--jwks <path...>', 'files with the published keys (default: those that the server publishes)')
    .addHelpText('after', '\nIt reads DATABASE_URL, or the embedded store while no server runs on it.')
    .action(async (_options, self: Command) =>
      finish(await auditVerify(dependencies, self.optsWithGlobals<AuditVerifyOptions>())),
    );
  audit
    .command('events')
    .description('List events, the newest first, each with the request id that why takes.')
    .option('--identity <spiffe-id>', 'of this workload')
    .option('--outcome <outcome>', 'permitted, refused or failed')
    .option('--since <time>', 'at this time or later, as in 2026-01-31T08:00:00Z')
    .option('--limit <count>', 'at most this many (default: 50)')
    .action(async (_options, self: Command) =>
      finish(await auditEvents(dependencies, self.optsWithGlobals<AuditEventsOptions>())),
    );
  program
    .command('issuer')
    .description('Look at Issuer documents.')
    .copyInheritedSettings(program)
    .command('check')
    .description('Check a sample token against an Issuer; exit code 1 where it is not accepted.')
    .argument('<name>', 'the name of the Issuer document')
    .option('-f, --file <path...>', 'where a document of this name is that is not saved yet')
    .requiredOption('--token <path>', 'where the sample token is; - reads standard input')
    .addHelpText(
      'after',
      '\nThe server checks, with -f too: it fetches the keys that the document names, and saves nothing.',
    )
    .action(async (name: string, _options, self: Command) =>
      finish(await checkIssuer(dependencies, name, self.optsWithGlobals<CheckIssuerOptions>())),
    );
  const policy = program
    .command('policy')
    .description("Look at the policy's history, and go back in it.")
    .copyInheritedSettings(program);
  policy
    .command('revisions')
    .description('List the latest changes, newest first; or say what one of them changed.')
    .argument('[revision]', 'the number of the change to show')
    .action(async (revision: string | undefined, _options, self: Command) =>
      finish(await policyRevisions(dependencies, revision, self.optsWithGlobals())),
    );
  policy
    .command('rollback')
    .description('Make the policy what it was at a revision, as a new revision.')
    .argument('<revision>', 'the number of the revision')
    .option('--dry-run', 'only say what would change')
    .action(async (revision: string, _options, self: Command) =>
      finish(await policyRollback(dependencies, revision, self.optsWithGlobals())),
    );
  const keys = program
    .command('keys')
    .description("Look at the server's signing keys, and turn them.")
    .copyInheritedSettings(program);
  const reason = ['--reason <text>', 'why, for the audit'] as const;
  keys
    .command('list')
    .description('List the keys, and where each is in its life.')
    .action(async (_options, self: Command) => finish(await keysList(dependencies, self.optsWithGlobals())));
  keys
    .command('rotate')
    .description('Let the next keys sign as soon as they were published long enough.')
    .option('--emergency', 'at once, though resource servers may not know them yet')
    .option(...reason)
    .action(async (_options, self: Command) =>
      finish(await keysRotate(dependencies, self.optsWithGlobals<RotateOptions>())),
    );
  keys
    .command('revoke')
    .description('Take a key out for good; where it signed, the next one does at once.')
    .argument('<kid>', 'the kid of the key; after -- where it begins with a hyphen')
    .option(...reason)
    .action(async (kid: string, _options, self: Command) =>
      finish(await keysRevoke(dependencies, kid, self.optsWithGlobals<TurnOptions>())),
    );
  command('revoke', 'Refuse a token, or all of an identity, an issuer or a key, from now on.')
    .option('--token <path>', 'the token in that file; - reads standard input')
    .option('--jti <jti>', 'the token that has this jti')
    .option('--identity <spiffe-id>', 'every token that this workload is subject, client or actor in')
    .option('--issuer <name>', 'every token of those whom this Issuer or TrustDomain document vouches for')
    .option('--key <kid>', 'every token that this key signed, which signs no more')
    .option('--not-until <time>', 'no new tokens until then either, as in 2027-01-31T08:00:00Z')
    .option(...reason)
    .action(async (_options, self: Command) =>
      finish(await revoke(dependencies, self.optsWithGlobals<RevokeOptions>())),
    );
  program
    .command('revocations')
    .description('Look at what is revoked.')
    .copyInheritedSettings(program)
    .command('list')
    .description('List what is revoked and may still cover a token, the latest first.')
    .option('--kind <kind>', 'token, identity, issuer or key')
    .option('--target <target>', 'exactly as it is listed')
    .option('--limit <count>', 'at most this many (default: 50)')
    .action(async (_options, self: Command) =>
      finish(await revocationsList(dependencies, self.optsWithGlobals<RevocationsListOptions>())),
    );
  command('token', 'Exchange a platform token for an access token, and print it.')
    .option('--audience <audience>', 'the one target (default: the one that the grants name)')
    .option('--scope <scopes>', 'scopes, divided by spaces (default: those that the grants name)')
    .option('--credential-file <path>', 'where the platform token is; - reads standard input')
    .option('--platform <name>', 'ask the platform that this runs on instead; auto finds out which it is')
    .option('--platform-audience <audience>', "whom that credential is for (default: the server's issuer)")
    .option('--verbose', 'say which platform it is, and why')
    .option('--decode', "print the token's claims instead, unverified")
    .action(async (_options, self: Command) =>
      finish(await token(dependencies, self.optsWithGlobals<TokenOptions>())),
    );
  command(
    'probe',
    'Ask a live deployment for what it must give and must refuse; exit code 1 where it differs.',
  )
    .option('--config <path>', 'YAML: several exchanges, and limits')
    .option('--audience <audience>', 'of the exchange that must succeed')
    .option('--scope <scopes>', 'its scopes, divided by spaces')
    .option('--credential-file <path>', 'where its platform token is')
    .option('--platform <name>', 'ask the platform that this runs on instead; auto finds out which it is')
    .option('--platform-audience <audience>', "whom that credential is for (default: the server's issuer)")
    .option('--expect <claim=value>', 'what the token must say; may be repeated', append, [])
    .option('--metrics <path>', 'also write Prometheus metrics for a textfile collector')
    .option('--interval <seconds>', 'again and again, so long apart')
    .action(async (_options, self: Command) => {
      const { probe } = await import('./commands/probe.ts'); // the other commands need none of its libraries
      finish(await probe(dependencies, self.optsWithGlobals<ProbeOptions>()));
    });
  command('login', "Sign in through the company's OpenID provider, for the other commands.")
    .requiredOption('--provider <url>', "the provider's issuer, which an Issuer document names")
    .requiredOption('--client-id <id>', 'a public client there, with http://127.0.0.1/callback on any port')
    .option('--scope <scopes>', 'admin scopes, divided by spaces (default: those that the grants name)')
    .action(async (_options, self: Command) => {
      const { login } = await import('./commands/login.ts'); // the other commands need none of its libraries
      finish(await login(dependencies, self.optsWithGlobals<LoginOptions>()));
    });
  command('logout', 'Forget the login to the server.').action(async (_options, self: Command) => {
    const { logout } = await import('./commands/login.ts');
    finish(await logout(dependencies, self.optsWithGlobals()));
  });
  return program;
}

function append(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}

function reportFailure(error: unknown, { err, environment }: CliDependencies, isJson: boolean): number {
  const message = error instanceof Error ? error.message : String(error);
  const body = error instanceof CommandFailure ? error.body : undefined;
  if (isJson) {
    err.write(`${plainJson(body ?? { error: message })}\n`);
  } else {
    const paint = createPaint(err.isTerminal, environment);
    err.write(`${paint('red', 'mintmark:')} ${message}\n`);
  }
  return error instanceof CommandFailure ? error.exitCode : exitCodes.refused;
}
