/** Debian's nginx as the place where TLS ends: a process of the test's own, never the system's service. */

import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort, start } from './processes.ts';

const program = '/usr/sbin/nginx';

export interface NginxOptions {
  /** The server behind it, as in `http://127.0.0.1:8080`; or what stands in `http { }`, given a port and the folder of the PEM files. */
  readonly upstream: string | ((place: { readonly port: number; readonly folder: string }) => string);
  /** PEM; absent where it speaks plain HTTP. */
  readonly server?: { readonly cert: string; readonly key: string };
  /** PEM: the roots that it verifies clients with. */
  readonly clientRoots?: string;
  /** A free one unless it was chosen before. */
  readonly port?: number;
}

export interface Nginx {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts it on a free loopback port. Unless told otherwise it asks for a client certificate, and forwards what it saw as ingress-nginx does. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const { upstream, server, clientRoots, port = await freePort() } = options;
  if (!existsSync(program)) throw new Error('no nginx (install nginx-light)');
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-nginx-'));
  if (server !== undefined) {
    writeFileSync(join(folder, 'cert.pem'), server.cert);
    writeFileSync(join(folder, 'key.pem'), server.key);
  }
  if (clientRoots !== undefined) writeFileSync(join(folder, 'roots.pem'), clientRoots);
  const site = typeof upstream === 'string' ? ingressOf(folder, port, upstream) : upstream({ folder, port });
  writeFileSync(join(folder, 'nginx.conf'), configurationOf(folder, site));

  const child = start(program, ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log']);
  const end = async (signal: NodeJS.Signals) => {
    await child.end(signal);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually(async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect').finally(() => socket.destroy());
    });
  } catch (error) {
    const log = join(folder, 'error.log');
    const written = child.output() + (existsSync(log) ? readFileSync(log, 'utf8') : '');
    await end('SIGKILL');
    throw new Error(`nginx did not start: ${written}`, { cause: error });
  }
  return { port, close: () => end('SIGTERM') };
}

function configurationOf(folder: string, site: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 64; }
http {
  access_log off;
  ${paths.join('\n  ')}
${site}
}
`;
}

function ingressOf(folder: string, port: number, upstream: string): string {
  return `
  server {
    listen 127.0.0.1:${port} ssl;
    server_name localhost;
    ssl_certificate ${folder}/cert.pem;
    ssl_certificate_key ${folder}/key.pem;
    ssl_client_certificate ${folder}/roots.pem;
    ssl_verify_client optional_no_ca;
    large_client_header_buffers 4 32k;
    location / {
      proxy_pass ${upstream};
      proxy_set_header ssl-client-cert $ssl_client_escaped_cert;
      proxy_set_header ssl-client-verify $ssl_client_verify;
    }
  }
`;
}
