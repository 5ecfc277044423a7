/** A stand-in for a platform: it gives each of its workloads a signed token, as a Kubernetes cluster does, and publishes its keys. */
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type LoopbackServer, listenOnLoopback, serveDocuments } from './loopback.ts';

export interface Platform extends LoopbackServer {
  /** The token that the platform puts into the workload's file system, for one audience. */
  issueToken(workload: string, audience: string): Promise<string>;
}

const namespace = 'shop';
const lifetime = '10m';

/** Starts the platform with a new key. Its issuer is its URL; discovery and the JWK set stand under it. */
export async function startPlatform(): Promise<Platform> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const kid = randomUUID();
  const keys = [{ ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }];

  const documents: Record<string, object> = { '/openid/v1/jwks': { keys } };
  const server = await listenOnLoopback(serveDocuments(documents));
  documents['/.well-known/openid-configuration'] = {
    issuer: server.url,
    jwks_uri: `${server.url}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  };

  return {
    ...server,
    issueToken: (workload, audience) =>
      new SignJWT({
        'kubernetes.io': {
          namespace,
          serviceaccount: { name: workload, uid: randomUUID() },
        },
      })
        .setProtectedHeader({ alg: 'RS256', kid })
        .setIssuer(server.url)
        .setSubject(`system:serviceaccount:${namespace}:${workload}`)
        .setAudience([audience])
        .setIssuedAt()
        .setExpirationTime(lifetime)
        .setJti(randomUUID())
        .sign(privateKey),
  };
}
