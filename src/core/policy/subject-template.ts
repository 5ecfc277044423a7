/** Subject templates: how verified claims become the path of a SPIFFE ID, never the same path for two different workloads. */

import type { JsonObject } from '../json.ts';
import { isPathSegment } from '../spiffe-id.ts';
import { isClaimPath, readClaim } from './claim-path.ts';

export interface SubjectTemplate {
  /** The template as written, the issuer's name put in. */
  readonly source: string;
  /** The path that these claims give, from its first `/`; undefined where a claim is missing, ambiguous, not a string or not legal there. */
  render(claims: JsonObject): string | undefined;
  /** Whether some claims give this path. */
  canGive(path: string): boolean;
  readonly claimPaths: readonly string[];
  /** The segments before the first one that holds a placeholder: the part of the trust domain that is this template's own. */
  readonly leadingSegments: readonly string[];
}

type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'one'; readonly before: string; readonly claim: string; readonly after: string }
  | { readonly kind: 'many'; readonly claim: string };

const issuerNamePlaceholder = '{issuer-name}';
const spanning = '|path';

/**
 * Reads a template such as `/prod/ns/{kubernetes.io.namespace}`: `{claim}` puts one segment, `{claim|path}` one or more,
 * `{issuer-name}` the document's name. Throws an Error whose message says what to write instead.
 */
export function parseSubjectTemplate(text: string, issuerName: string): SubjectTemplate {
  const source = text.replaceAll(issuerNamePlaceholder, () => issuerName);
  if (!source.startsWith('/')) throw new Error('a subject template begins with "/", as in /prod/{sub}');
  const segments = splitSegments(source.slice(1)).map(parseSegment);

  const leadingSegments: string[] = [];
  for (const segment of segments) {
    if (segment.kind !== 'literal') break;
    leadingSegments.push(segment.text);
  }
  if (leadingSegments.length === 0) {
    throw new Error(
      `the first segment must be literal, so that no other issuer can give the same ID: write /${issuerName}${source}`,
    );
  }
  // Injectivity: with at most one segment of open length, the count of segments tells where each value stands.
  if (segments.filter((segment) => segment.kind === 'many').length > 1) {
    throw new Error(
      'two placeholders of the form {claim|path} could give one ID to different claims: keep at most one',
    );
  }
  const claimPaths = [
    ...new Set(segments.flatMap((segment) => (segment.kind === 'literal' ? [] : [segment.claim]))),
  ];
  if (claimPaths.length === 0) {
    throw new Error(
      'a template without a placeholder gives every workload of the issuer one ID: name a claim, as in {sub}',
    );
  }
  return {
    source,
    claimPaths,
    leadingSegments,
    render: (claims) => render(segments, claims),
    canGive: (path) => canGive(segments, path),
  };
}

/** Splits at the slashes that stand outside braces: a claim's name may hold slashes of its own. */
function splitSegments(text: string): readonly string[] {
  const segments: string[] = [];
  let current = '';
  let inside = false;
  for (const character of text) {
    if (character === '{' && inside) throw new Error('a "{" stands inside another "{"');
    if (character === '}' && !inside) throw new Error('a "}" has no "{" before it');
    if (character === '{') inside = true;
    if (character === '}') inside = false;
    if (character === '/' && !inside) {
      segments.push(current);
      current = '';
    } else {
      current += character;
    }
  }
  if (inside) throw new Error('a "{" is not closed by "}"');
  return [...segments, current];
}

function parseSegment(text: string): Segment {
  const open = text.indexOf('{');
  if (open === -1) {
    if (!isPathSegment(text)) {
      throw new Error(
        `"${text}" is not a legal path segment: use letters, digits, ".", "_" and "-", no empty segment and no "." or ".." alone`,
      );
    }
    return { kind: 'literal', text };
  }
  const close = text.indexOf('}');
  const [before, inner, after] = [text.slice(0, open), text.slice(open + 1, close), text.slice(close + 1)];
  if (after.includes('{')) {
    throw new Error(
      `two placeholders in the segment "${text}" could give one ID to different claims: put a "/" between them`,
    );
  }
  const isSpanning = inner.endsWith(spanning);
  const claim = isSpanning ? inner.slice(0, -spanning.length) : inner;
  if (!isClaimPath(claim)) {
    throw new Error(`"{${inner}}" does not name a claim: write {claim}, {claim.within} or {claim|path}`);
  }
  if (!isSpanning) {
    if (!isPathSegment(`${before}x${after}`)) {
      throw new Error(
        `"${text}" is not a legal path segment: use letters, digits, ".", "_" and "-" around {${inner}}`,
      );
    }
    return { kind: 'one', before, claim, after };
  }
  if (before !== '' || after !== '') {
    throw new Error(`{${inner}} spans segments, so it stands alone between slashes, not in "${text}"`);
  }
  return { kind: 'many', claim };
}

function render(segments: readonly Segment[], claims: JsonObject): string | undefined {
  let path = '';
  for (const segment of segments) {
    if (segment.kind === 'literal') {
      path += `/${segment.text}`;
      continue;
    }
    const reading = readClaim(claims, segment.claim);
    // Strings only: "1" and 1 are different claims and would give one ID.
    if (!reading.found || typeof reading.value !== 'string') return undefined;
    const { value } = reading;
    if (segment.kind === 'many') {
      if (!value.split('/').every(isPathSegment)) return undefined;
      path += `/${value}`;
    } else {
      const whole = `${segment.before}${value}${segment.after}`;
      if (!isPathSegment(value) || !isPathSegment(whole)) return undefined;
      path += `/${whole}`;
    }
  }
  return path;
}

/** At most one segment is of open length, so each part of the path has one place in the template. */
function canGive(segments: readonly Segment[], path: string): boolean {
  const [root, ...parts] = path.split('/');
  if (root !== '' || !parts.every(isPathSegment)) return false;
  const spannedParts = parts.length - segments.length + 1;
  const isSpanning = segments.some((segment) => segment.kind === 'many');
  if (isSpanning ? spannedParts < 1 : spannedParts !== 1) return false;
  const values = new Map<string, string>();
  let at = 0;
  return segments.every((segment) => {
    const start = at;
    at += segment.kind === 'many' ? spannedParts : 1;
    const text = parts.slice(start, at).join('/');
    if (segment.kind === 'literal') return text === segment.text;
    const value = segment.kind === 'many' ? text : valueWithin(segment, text);
    if (value === undefined || (values.get(segment.claim) ?? value) !== value) return false;
    values.set(segment.claim, value);
    return true;
  });
}

function valueWithin({ before, after }: { before: string; after: string }, text: string): string | undefined {
  if (text.length <= before.length + after.length) return undefined;
  if (!text.startsWith(before) || !text.endsWith(after)) return undefined;
  const value = text.slice(before.length, text.length - after.length);
  return isPathSegment(value) ? value : undefined;
}
