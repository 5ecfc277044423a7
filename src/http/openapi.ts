/** The OpenAPI 3.1 document, rendered from the routes' own schemas; served at `GET /openapi.json`. */
import swagger, { type SwaggerTransformObject } from '@fastify/swagger';
import type { FastifyPluginAsync } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { HttpDependencies } from './dependencies.ts';
import { routeSchemas } from './openapi-routes.ts';

const documentMaxAgeSeconds = 300;

const zodToJsonConfig: NonNullable<
  NonNullable<Parameters<typeof createJsonSchemaTransform>[0]>['zodToJsonConfig']
> = {
  // zod bounds every integer by what a double holds, which no reader wants to know.
  override: ({ jsonSchema }) => {
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  },
};
const transform = createJsonSchemaTransform({ zodToJsonConfig });
const addNamedSchemas = createJsonSchemaTransformObject({ zodToJsonConfig });

/** Each named schema comes in two forms, as input and as output; only those that a route leads to stay. */
const transformObject: SwaggerTransformObject = (document) => {
  const rendered = addNamedSchemas(document);
  if (!('components' in rendered) || rendered.components?.schemas === undefined) return rendered;
  const { schemas } = rendered.components;
  const reached = new Set(namedWithin(rendered.paths));
  for (const name of reached) {
    for (const within of namedWithin(schemas[name])) reached.add(within); // which the loop then comes to
  }
  for (const name of Object.keys(schemas)) {
    if (!reached.has(name)) delete schemas[name];
  }
  return rendered;
};

/** The names of the schemas that this part of the document refers to. */
function namedWithin(part: unknown): readonly string[] {
  const references = (JSON.stringify(part) ?? '').matchAll(/"#\/components\/schemas\/([^"]+)"/g);
  return [...references].flatMap(([, name]) => (name === undefined ? [] : [name]));
}

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
        { name: 'forward-auth', description: 'For proxies: whether a request may pass.' },
        { name: 'admin', description: 'For admins: the policy and the audit.' },
        { name: 'operations', description: 'For operators and readers.' },
      ],
      components: {
        securitySchemes: {
          admin: {
            type: 'http',
            scheme: 'bearer',
            description: 'The bootstrap admin token, or an access token that was minted for the admin API.',
          },
          introspector: {
            type: 'http',
            scheme: 'bearer',
            description: 'An access token for this issuer with the scope `tokens:introspect`.',
          },
          platform: { type: 'http', scheme: 'bearer', description: 'The token of the workload’s platform.' },
        },
      },
    },
    transform: ({ schema, ...route }) => {
      const { method, url } = route.route;
      return transform({ ...route, schema: schema ?? routeSchemas[`${method} ${url}`] ?? {} });
    },
    transformObject,
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
