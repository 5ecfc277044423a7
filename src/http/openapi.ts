/** The OpenAPI 3.1 document, rendered from the routes' own schemas; served at `GET /openapi.json`. */
import swagger from '@fastify/swagger';
import type { FastifyPluginAsync } from 'fastify';
import { createJsonSchemaTransform } from 'fastify-type-provider-zod';
import type { HttpDependencies } from './dependencies.ts';
import { routeSchemas } from './openapi-routes.ts';

const documentMaxAgeSeconds = 300;

const transform = createJsonSchemaTransform({});

const registerOpenapi: FastifyPluginAsync<HttpDependencies> = async (app, { settings }) => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Mintmark',
        version: settings.version,
        description:
          'The central, agentless token exchange for workloads: platform identity in, short-lived access token out.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: settings.issuer }],
      tags: [
        { name: 'tokens', description: 'For workloads: a credential in, a token out.' },
        { name: 'discovery', description: 'For resource servers: our keys and where they are.' },
        { name: 'admin', description: 'For admins: the policy and the audit.' },
        { name: 'operations', description: 'For operators and readers.' },
      ],
      components: {
        securitySchemes: {
          admin: { type: 'http', scheme: 'bearer', description: 'The bootstrap admin token.' },
          platform: { type: 'http', scheme: 'bearer', description: 'The token of the workload’s platform.' },
        },
      },
    },
    transform: ({ schema, ...route }) => {
      const { method, url } = route.route;
      return transform({ ...route, schema: schema ?? routeSchemas[`${method} ${url}`] ?? {} });
    },
  });

  app.get('/openapi.json', async (_request, reply) =>
    reply
      .header('cache-control', `public, max-age=${documentMaxAgeSeconds}`)
      .header('access-control-allow-origin', '*')
      .type('application/json; charset=utf-8')
      .send(JSON.stringify(app.swagger())),
  );
};

/** Not encapsulated: its hook has to see the routes of the plugins registered after it. */
export const openapi = Object.assign(registerOpenapi, { [Symbol.for('skip-override')]: true });
