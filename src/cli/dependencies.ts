/** What the commands are given by `mintmark.ts`; they import no adapter and read no process state of their own. */
import type { Surroundings } from '../client/platform.ts';
import type { AuditVerdict } from '../core/audit-verify.ts';
import type { Platform } from '../core/platform.ts';
import type { PolicyContext } from '../core/policy/snapshot.ts';
import type { PolicySource } from '../core/policy/source.ts';
import type { PublicJwk } from '../core/ports.ts';
import type { Suppose } from '../core/supposed.ts';
import type { CheckResult } from './check-report.ts';

interface OutputStream {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
}

export interface CliDependencies extends Surroundings {
  readonly version: string;
  readonly out: OutputStream;
  readonly err: OutputStream;
  readonly readStandardInput: () => Promise<string>;
  /** The documents of a file, or of a folder's files. Throws `PolicyRefused` on what is not YAML or JSON. */
  readonly readPolicyPath: (path: string) => Promise<readonly PolicySource[]>;
  /** The PolicyTest documents of the same. */
  readonly readPolicyTestsPath: (path: string) => Promise<readonly PolicySource[]>;
  /** Rejects where the file cannot be written. */
  readonly writeTextFile: (path: string, text: string) => Promise<void>;
  readonly platforms: readonly Platform[];
  /** A platform's own test vectors; undefined where its credentials are no JWTs. */
  readonly readPlatformVectors: (platform: string) => Promise<unknown>;
  readonly createSuppose: (context: Pick<PolicyContext, 'issuer' | 'trustDomain'>) => Suppose;
  /** Serves until it is told to stop; resolves with the exit code. */
  readonly serve: () => Promise<number>;
  /** Brings the database's schema up to date; resolves with the names of the migrations that it ran. */
  readonly migrate: () => Promise<readonly string[]>;
  /** Reads the audit of the database, or of the embedded store, whose chains have an event within the window. */
  readonly verifyAudit: (
    window: { readonly since: number | undefined; readonly until: number | undefined },
    publicKeys: readonly PublicJwk[],
  ) => Promise<AuditVerdict>;
  /** Looks at what a server in this environment would depend on. */
  readonly examine: () => Promise<readonly CheckResult[]>;
}
