/** A stand-in for a SPIFFE trust domain: it issues JWT-SVIDs to its workloads and publishes its bundle. */
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type LoopbackServer, listenOnLoopback, serveDocuments } from './loopback.ts';

export interface TrustDomain extends LoopbackServer {
  readonly bundleUrl: string;
  /** A JWT-SVID (SPIFFE JWT-SVID §3) of the workload with that path, for one audience. */
  issueSvid(path: string, audience: string): Promise<string>;
}

const lifetime = '5m'; // what SPIRE gives by default

/** Starts the trust domain of that name with a new JWT authority. */
export async function startTrustDomain(name: string): Promise<TrustDomain> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const kid = randomUUID();
  const bundle = {
    keys: [{ ...(await exportJWK(publicKey)), kid, use: 'jwt-svid' }], // SPIFFE bundle §4.2.2
    spiffe_sequence: 1,
    spiffe_refresh_hint: 300,
  };
  const server = await listenOnLoopback(serveDocuments({ '/bundle.json': bundle }));
  return {
    ...server,
    bundleUrl: `${server.url}/bundle.json`,
    issueSvid: (path, audience) =>
      new SignJWT()
        .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
        .setSubject(`spiffe://${name}${path}`)
        .setAudience([audience])
        .setIssuedAt()
        .setExpirationTime(lifetime)
        .sign(privateKey),
  };
}
