/** The little XML that STS answers with: elements and text. No entities, comments, CDATA, DOCTYPE or other attributes. */
import { refuse } from '../../../core/error.ts';
import type { JsonObject } from '../../../core/json.ts';

interface Open {
  readonly name: string;
  readonly children: Map<string, string | JsonObject>;
  text: string;
}

const declaration = /^\s*<\?xml version="1\.0"(?: encoding="(?:UTF-8|utf-8)")?\s*\?>/;
const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';
const maxDepth = 8;

/**
 * An element with children becomes an object, one with text a string. Throws `credential.platform_refused` for anything
 * beyond that: two children of one name, text beside children, a namespace that is not the root's own and STS's.
 */
export function readXml(text: string): JsonObject {
  const token = /<(\/?)([A-Za-z][A-Za-z0-9]*)(?:\s+xmlns="([^"<&]*)")?\s*>|([^<&>]+)/y;
  const root: Open = { name: '', children: new Map(), text: '' };
  const open: Open[] = [root];
  token.lastIndex = declaration.exec(text)?.[0].length ?? 0;
  while (token.lastIndex < text.length) {
    const [, slash, name, xmlns, characters] =
      token.exec(text) ?? refused('something beyond elements and text');
    const current = open.at(-1) ?? refused('an element closed too often');
    if (name === undefined) {
      current.text += characters;
    } else if (slash === '') {
      if (xmlns !== (open.length === 1 ? namespace : undefined)) refused('another namespace');
      if (open.length > maxDepth) refused('elements nested too deep');
      open.push({ name, children: new Map(), text: '' });
    } else {
      if (current.name !== name || xmlns !== undefined) refused('an element that is not closed');
      open.pop();
      const parent = open.at(-1) ?? refused('an element closed too often');
      if (parent.children.has(name)) refused('an element twice');
      parent.children.set(name, contentOf(current));
    }
  }
  if (open.length !== 1) refused('an element that is not closed');
  const value = contentOf(root);
  return typeof value === 'string' ? refused('no element') : value;
}

function contentOf({ children, text }: Open): string | JsonObject {
  if (children.size === 0) return text;
  return text.trim() === '' ? Object.fromEntries(children) : refused('text beside elements');
}

function refused(what: string): never {
  return refuse('credential.platform_refused', `the XML answer holds ${what}`);
}
