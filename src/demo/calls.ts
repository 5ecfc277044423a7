/** The requests of the demo: the exchanges that workloads make, and the calls that they then make with their tokens. */
import type { Call } from './call.ts';
import type { Stage } from './stage.ts';

/** Files in the stage's folder, each with one credential. */
export const files = {
  orders: 'orders.authorization',
  reports: 'reports.authorization',
  billing: 'billing.svid',
  alphaToken: 'alpha-token.authorization',
  betaToken: 'beta-token.authorization',
  admin: 'admin.authorization',
} as const;

export const alphaScope = 'alpha profile email';

/** What each workload got from its platform or trust domain. */
export interface Credentials {
  readonly orders: string;
  readonly reports: string;
  readonly billing: string;
}

/** Puts a new credential of each workload into its file, as a platform does before the old one expires. */
export async function writeCredentials(stage: Stage): Promise<Credentials> {
  const { platform, trustDomain, mintmark, writePrivate } = stage;
  const [orders, reports, billing] = await Promise.all([
    platform.issueToken('orders', mintmark.url),
    platform.issueToken('reports', mintmark.url),
    trustDomain.issueSvid('/billing', mintmark.url),
  ]);
  writePrivate(files.orders, authorization(orders));
  writePrivate(files.reports, authorization(reports));
  writePrivate(files.billing, billing);
  return { orders, reports, billing };
}

export function authorization(token: string): string {
  return `Authorization: Bearer ${token}`;
}

/** The agentless way: a workload of the platform sends its platform token, and names the service. */
export function askForAlpha({ mintmark }: Stage, credential: string): Call {
  return {
    url: `${mintmark.url}/api/v1/token`,
    authorization: credential,
    json: { audience: 'alpha', scope: alphaScope },
  };
}

/** The OAuth way: a SPIFFE workload authenticates as a client, with its JWT-SVID (draft-ietf-oauth-spiffe-client-auth). */
export function askForBeta({ mintmark }: Stage): Call {
  return {
    url: `${mintmark.url}/oauth/token`,
    form: {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: { file: files.billing },
      audience: 'beta',
      scope: 'beta',
    },
  };
}

export function callService(url: string, token: string): Call {
  return { url: `${url}/`, authorization: token };
}

export function readEvent({ mintmark }: Stage, requestId: string): Call {
  return { url: `${mintmark.url}/admin/v1/audit-events/${requestId}`, authorization: files.admin };
}
