/** Debian's Apache httpd with mod_oauth2 as a resource server: a process of the test's own, never the system's service. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort, start, unprivileged } from './processes.ts';

const program = '/usr/sbin/apache2';
const modulesFolder = '/usr/lib/apache2/modules';

export interface Apache {
  readonly url: string;
  /** What it has written to its error log. */
  log(): string;
  close(): Promise<void>;
}

/** A folder of the server, and what a token must say of itself to be let in. */
export interface ProtectedPage {
  /** As in `/alpha`. */
  readonly path: string;
  /** Conditions of `Require oauth2_claim`, which must all hold. */
  readonly claims: readonly string[];
}

/** Starts it in the foreground on a free loopback port. It knows of the token issuer the JWK set alone. */
export async function startApache(jwksUri: string, pages: readonly ProtectedPage[]): Promise<Apache> {
  if (!existsSync(program) || !existsSync(join(modulesFolder, 'mod_oauth2.so'))) {
    throw new Error('no Apache httpd with mod_oauth2 (install libapache2-mod-oauth2)');
  }
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-apache-'));
  chmodSync(folder, 0o755); // its workers run as another user than root
  const port = await freePort();
  for (const { path } of pages) {
    mkdirSync(join(folder, 'htdocs', path), { recursive: true });
    writeFileSync(join(folder, 'htdocs', path, 'index.html'), `the page ${path}\n`);
  }
  const configuration = join(folder, 'httpd.conf');
  writeFileSync(configuration, configurationOf(folder, port, jwksUri, pages));

  const errorLog = join(folder, 'error.log');
  const readLog = () => (existsSync(errorLog) ? readFileSync(errorLog, 'utf8') : '');

  const child = start(program, ['-f', configuration, '-D', 'FOREGROUND']);
  const url = `http://127.0.0.1:${port}`;
  try {
    await eventually(async () => {
      if (child.process.exitCode === null) await fetch(url);
    });
    if (child.process.exitCode !== null) throw new Error(`httpd ended with ${child.process.exitCode}`);
  } catch (error) {
    await child.end('SIGKILL');
    const written = child.output() + readLog();
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`Apache httpd did not start: ${written}`, { cause: error });
  }
  return {
    url,
    log: readLog,
    close: async () => {
      await child.end('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configurationOf(
  folder: string,
  port: number,
  jwksUri: string,
  pages: readonly ProtectedPage[],
): string {
  const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'dir', 'oauth2'];
  const locations = pages.map(
    ({ path, claims }) => `
<Location "${path}">
  AuthType oauth2
  AuthName "${path}"
  OAuth2TokenVerify jwks_uri ${jwksUri} verify.exp=required&verify.iat=required
  <RequireAll>
${claims.map((claim) => `    Require oauth2_claim ${claim}`).join('\n')}
  </RequireAll>
</Location>`,
  );
  return `
ServerRoot "${folder}"
ServerName 127.0.0.1
Listen 127.0.0.1:${port}
PidFile "${folder}/httpd.pid"
DefaultRuntimeDir "${folder}"
ErrorLog "${folder}/error.log"
LogLevel warn
DocumentRoot "${folder}/htdocs"
${modules.map((name) => `LoadModule ${name}_module ${modulesFolder}/mod_${name}.so`).join('\n')}
${unprivileged.uid === undefined ? '' : `User #${unprivileged.uid}\nGroup #${unprivileged.gid}`}
DirectoryIndex index.html
ServerLimit 1
StartServers 1
ThreadsPerChild 4
MaxRequestWorkers 4
MinSpareThreads 1
MaxSpareThreads 4
<Directory "${folder}/htdocs">
  Require all granted
</Directory>
${locations.join('\n')}
`;
}
