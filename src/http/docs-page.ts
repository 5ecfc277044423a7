/** `GET /docs`: the OpenAPI document and the error codes as one page, rendered here; it holds no script. */
import { createHash } from 'node:crypto';
import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import type { HttpDependencies } from './dependencies.ts';
import { pageStyle } from './docs-style.ts';
import { errorGuide } from './error-guide.ts';

const pageMaxAgeSeconds = 300;
const styleHash = createHash('sha256').update(pageStyle).digest('base64');
const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The part of an OpenAPI document that the page shows. */
const documentSchema = z.object({
  info: z.object({ version: z.string(), description: z.string() }),
  tags: z.array(z.object({ name: z.string(), description: z.string() })),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        summary: z.string().default(''),
        description: z.string().optional(),
        tags: z.array(z.string()).default([]),
        operationId: z.string().optional(),
      }),
    ),
  ),
});

export const docsPage: FastifyPluginAsync<HttpDependencies> = async (app, { settings }) => {
  app.get('/docs', async (_request, reply) =>
    reply
      .header('content-security-policy', contentSecurityPolicy)
      .header('cache-control', `public, max-age=${pageMaxAgeSeconds}`)
      .type('text/html; charset=utf-8')
      .send(renderDocsPage(app.swagger(), settings.issuer)),
  );
};

/** The whole page for this OpenAPI document. */
function renderDocsPage(openapiDocument: unknown, issuer: string): string {
  const document = documentSchema.parse(openapiDocument);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Mintmark: API and error codes</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<p class="eyebrow">Mintmark ${escapeHtml(document.info.version)}</p>
<h1>Credential in, token out</h1>
<p class="lead">${escapeHtml(document.info.description)}</p>
<pre><code>curl ${escapeHtml(issuer)}/api/v1/token \\
  -H "Authorization: Bearer $PLATFORM_TOKEN" -H "Content-Type: application/json" \\
  -d '{"audience": "https://inventory.internal.example", "scope": "items:read"}'</code></pre>
<nav aria-label="On this page">${document.tags.map(({ name }) => `<a href="#${escapeHtml(name)}">${escapeHtml(name)}</a>`).join('')}<a href="#errors">errors</a><a href="/openapi.json">openapi.json</a></nav>
</header>
<main>
${document.tags.map((tag) => renderTag(tag, document.paths)).join('\n')}
${renderErrors()}
</main>
</body>
</html>
`;
}

type Document = z.infer<typeof documentSchema>;

function renderTag(tag: Document['tags'][number], paths: Document['paths']): string {
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, operation]) => operation.tags.includes(tag.name))
      .map(
        ([method, { summary, description }]) =>
          `<li><div class="route"><span class="method ${escapeHtml(method)}">${escapeHtml(method.toUpperCase())}</span> <code>${breakable(path)}</code></div>
<p>${prose(summary)}.${description === undefined ? '' : ` <span class="more">${prose(description)}</span>`}</p></li>`,
      ),
  );
  return `<section id="${escapeHtml(tag.name)}" aria-labelledby="${escapeHtml(tag.name)}-title">
<h2 id="${escapeHtml(tag.name)}-title">${escapeHtml(tag.name)}</h2>
<p>${prose(tag.description)}</p>
<ul class="routes">
${rows.join('\n')}
</ul>
</section>`;
}

function renderErrors(): string {
  const entries = errorGuide.map(
    ({ code, sentence, advice }) => `<div class="error" id="${escapeHtml(code)}">
<dt><a href="#${escapeHtml(code)}"><code>${escapeHtml(code)}</code></a></dt>
<dd><p class="said">${escapeHtml(sentence)}</p><p>${prose(advice)}</p></dd>
</div>`,
  );
  return `<section id="errors" aria-labelledby="errors-title">
<h2 id="errors-title">errors</h2>
<p>A refusal says little on purpose. Its <code>request_id</code> opens the whole reason for an admin: <code>mintmark why REQUEST_ID</code>.</p>
<dl>
${entries.join('\n')}
</dl>
</section>`;
}

/** Escapes, and sets what stands between backticks as code. */
function prose(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}

function breakable(path: string): string {
  return escapeHtml(path).replace(/(?<=.)\//g, '<wbr>/');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
