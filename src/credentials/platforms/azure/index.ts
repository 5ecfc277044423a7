/** Azure: access tokens of managed identities and service principals of one Entra tenant, v1 or v2. */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const azure: Platform = {
  name: 'azure',
  algorithms: ['RS256'],
  defaultSubject: '/{issuer-name}/tenant/{tid}/principal/{oid}',
  maxTokenLifetimeSeconds: 26 * 3600, // managed identities' tokens live for a day, and are cached
  isSharedIssuer: (issuerUrl) => tenantOf(issuerUrl) === undefined, // `common`, `organizations` and whatever else
  tenantClaims: ['tid'],
  foreignAudiences: [
    // Every client of Azure's own APIs holds tokens for these.
    'https://management.azure.com',
    'https://management.azure.com/',
    'https://management.core.windows.net',
    'https://management.core.windows.net/',
    '797f4846-ba00-4fd7-ba43-dac1f8f63013', // the same, in v2 tokens
    'https://graph.microsoft.com',
    'https://graph.microsoft.com/',
    '00000003-0000-0000-c000-000000000000',
    'api://AzureADTokenExchange',
  ],
  nameClaims: ['xms_mirid', 'xms_az_rid', 'app_displayname'],
  check,
};

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const issuerForms = [
  { version: '1.0', form: /^https:\/\/sts\.(?:windows\.net|chinacloudapi\.cn)\/([^/]+)\/$/ },
  {
    version: '2.0',
    form: /^https:\/\/login\.(?:microsoftonline\.com|microsoftonline\.us|partner\.microsoftonline\.cn)\/([^/]+)\/v2\.0$/,
  },
];

/** The tenant that an issuer names, where it names one, and the version of its tokens. */
function tenantOf(issuerUrl: string): { readonly tenant: string; readonly version: string } | undefined {
  for (const { version, form } of issuerForms) {
    const tenant = form.exec(issuerUrl)?.[1];
    if (tenant !== undefined && guid.test(tenant)) return { tenant, version };
  }
  return undefined;
}

/** All tenants share their keys, so the issuer must name the tenant; and people have tokens of this issuer too. */
function check({ iss, tid, oid, sub, idtyp, ver, scp }: JsonObject): string | undefined {
  const issuer = typeof iss === 'string' ? tenantOf(iss) : undefined;
  if (issuer === undefined) return 'iss names no tenant';
  if (tid !== issuer.tenant) return 'tid is not the tenant that iss names';
  if (ver !== issuer.version) return 'ver is not the version that iss names';
  if (typeof oid !== 'string' || !guid.test(oid)) return 'oid is not an id';
  if (scp !== undefined) return 'scp: a token on behalf of a person';
  const isWorkload = idtyp === undefined ? oid === sub : idtyp === 'app';
  return isWorkload ? undefined : 'neither idtyp is "app" nor sub is oid: not a token of a workload';
}
