/** Fetches the documents that hold keys: discovery (OpenID Connect Discovery §4), JWK sets, SPIFFE bundles. */
import { isJsonObject } from '../core/json.ts';
import type { TrustedDomain, TrustedIssuer } from '../core/policy/snapshot.ts';
import type { Clock, FetchDocument, FetchOptions } from '../core/ports.ts';
import { parseStrictJson } from '../core/strict-json.ts';
import { type KeySet, readKeySet } from './jwk.ts';
import type { Fetched } from './remote-keys.ts';
import { readTrustBundle, rootsAsPem } from './trust-bundle.ts';

/** One source of keys: how it is fetched, and how a document that was fetched before is read again, by the same checks. */
export interface KeyDocument {
  fetch(previous: KeySet | undefined): Promise<Fetched>;
  read(text: string, previous?: KeySet): Fetched;
}

const defaultFreshSeconds = 300; // SPIFFE Federation §4.1 for bundles; a common max-age for JWK sets
const daySeconds = 86_400;
const minFreshSeconds = 30;
const minBundleFreshSeconds = 10;
const discoveryFreshSeconds = 3600;

const acceptKeys = 'application/jwk-set+json, application/json';
const acceptJson = 'application/json';

/** The keys behind an Issuer document's `jwksUri` or discovery; undefined where its keys stand in the document itself. */
export function issuerKeys(
  issuer: TrustedIssuer,
  fetchDocument: FetchDocument,
  clock: Clock,
): KeyDocument | undefined {
  const { jwks, jwksUri, allowPrivateHosts = [] } = issuer.keys;
  if (jwks !== undefined) return undefined;
  const ownUrl = jwksUri ?? issuer.issuerUrl;
  const allowed = [...allowPrivateHosts, ...loopbackHostOf(ownUrl)];
  const get = (url: string, accept: string) => getText(fetchDocument, url, allowed, accept);
  let discovered: { readonly jwksUri: string; readonly until: number } | undefined;

  async function keysUrl(): Promise<string> {
    if (jwksUri !== undefined) return jwksUri;
    if (discovered !== undefined && clock.now() < discovered.until) return discovered.jwksUri;
    const { body, maxAgeSeconds } = await get(discoveryUrl(issuer.issuerUrl), acceptJson);
    const found = readDiscovery(body, issuer.issuerUrl);
    const freshSeconds = clamp(maxAgeSeconds ?? discoveryFreshSeconds, minFreshSeconds, daySeconds);
    discovered = { jwksUri: found, until: clock.now() + freshSeconds * 1000 };
    return found;
  }

  function read(text: string, previous?: KeySet, maxAgeSeconds?: number): Fetched {
    const freshForSeconds = clamp(maxAgeSeconds ?? defaultFreshSeconds, minFreshSeconds, daySeconds);
    return { keys: readKeySet(parseStrictJson(text), 'sig', previous), freshForSeconds, text };
  }

  return {
    read,
    fetch: async (previous) => {
      const url = await keysUrl();
      try {
        const { body, maxAgeSeconds } = await get(url, acceptKeys);
        return read(body, previous, maxAgeSeconds);
      } catch (error) {
        // The keys may have moved: ask discovery again next time.
        discovered = undefined;
        throw error;
      }
    },
  };
}

/** The bundle behind a TrustDomain document's `url`; undefined where it stands in the document itself. */
export function domainKeys(domain: TrustedDomain, fetchDocument: FetchDocument): KeyDocument | undefined {
  const { url, endpointSpiffeId, bootstrap, allowPrivateHosts = [] } = domain.bundle;
  if (url === undefined) return undefined;
  const allowed = [...allowPrivateHosts, ...loopbackHostOf(url)];
  let sequence: bigint | undefined;
  // The newest bundle proves the endpoint of the next (SPIFFE Federation §5.2.2). Where it names no root, nothing does:
  // to go back to `bootstrap` would be to trust again what the trust domain has withdrawn.
  let newest: KeySet | undefined;

  function read(text: string, previous?: KeySet): Fetched {
    const bundle = readTrustBundle(text, previous);
    if (sequence !== undefined && bundle.sequence !== undefined && bundle.sequence < sequence) {
      throw new Error(`spiffe_sequence went back from ${sequence} to ${bundle.sequence}`);
    }
    sequence = bundle.sequence ?? sequence;
    newest = bundle.keys;
    const hint = bundle.refreshHintSeconds ?? defaultFreshSeconds;
    return {
      keys: bundle.keys,
      freshForSeconds: clamp(hint, minBundleFreshSeconds, daySeconds),
      text,
      ...(sequence === undefined ? {} : { sequence: String(sequence) }),
    };
  }

  return {
    read,
    fetch: async (previous) => {
      const server = endpointSpiffeId && {
        spiffeServer: {
          spiffeId: endpointSpiffeId,
          roots: rootsAsPem(newest ?? readKeySet(bootstrap, 'jwt-svid')),
        },
      };
      return read((await getText(fetchDocument, url, allowed, acceptJson, server || {})).body, previous);
    },
  };
}

async function getText(
  fetchDocument: FetchDocument,
  url: string,
  allowPrivateHosts: readonly string[],
  accept: string,
  options: FetchOptions = {},
) {
  const document = await fetchDocument(url, { ...options, allowPrivateHosts, accept });
  if (document.status !== 200) throw new Error(`expected status 200, actual ${document.status}`);
  return document;
}

/** OpenID Connect Discovery §4: the path is appended, after removing one trailing slash. */
function discoveryUrl(issuerUrl: string): string {
  return `${issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

function readDiscovery(body: string, issuerUrl: string): string {
  const document = parseStrictJson(body);
  if (!isJsonObject(document)) throw new Error('the discovery document is not a JSON object');
  // OpenID Connect Discovery §4.3: exactly the issuer that was asked, or one issuer could hand out another's keys.
  if (document.issuer !== issuerUrl) throw new Error('the discovery document names another issuer');
  const { jwks_uri: jwksUri } = document;
  if (typeof jwksUri !== 'string' || !URL.canParse(jwksUri)) throw new Error('jwks_uri is not a URL');
  const url = new URL(jwksUri);
  const isOwnLoopback = url.protocol === 'http:' && loopbackHostOf(issuerUrl).includes(url.hostname);
  if (url.protocol !== 'https:' && !isOwnLoopback) throw new Error('jwks_uri is not https');
  return jwksUri;
}

/** The host of the URL where it is this machine: a document that names it has allowed it. */
function loopbackHostOf(url: string): readonly string[] {
  if (!URL.canParse(url)) return [];
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
    ? [hostname]
    : [];
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
