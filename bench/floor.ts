/** The bare floor: Fastify that verifies one ES256 assertion and signs one ES256 token, and does nothing else. */
import formbody from '@fastify/formbody';
import Fastify from 'fastify';
import { importJWK, type JWK, jwtVerify, SignJWT } from 'jose';

const [jwkText = '', portText = '0'] = process.argv.slice(2);
const verifyKey = await importJWK(JSON.parse(jwkText) as JWK, 'ES256');
const signKey = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
  'sign',
  'verify',
]);

const app = Fastify();
await app.register(formbody);
app.get('/healthz', async () => ({ status: 'ok' }));
app.post<{ Body: Record<string, string> }>('/oauth/token', async (request) => {
  const { payload } = await jwtVerify(request.body.client_assertion ?? '', verifyKey, {
    algorithms: ['ES256'],
  });
  const token = await new SignJWT({ client_id: payload.sub, scope: request.body.scope })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'floor' })
    .setIssuer('http://floor')
    .setSubject(payload.sub ?? '')
    .setAudience(request.body.audience ?? '')
    .setIssuedAt()
    .setExpirationTime('10m')
    .setJti(crypto.randomUUID())
    .sign(signKey.privateKey);
  return { access_token: token, token_type: 'Bearer', expires_in: 600, scope: request.body.scope };
});
await app.listen({ host: '127.0.0.1', port: Number(portText) });
