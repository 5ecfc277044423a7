/** Colour, on a terminal that wants it. */
import { stripVTControlCharacters, styleText } from 'node:util';

type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow';
export type Paint = (colour: Colour, text: string) => string;

/** https://no-color.org: any value that is not empty switches colour off. */
export function createPaint(
  isTerminal: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): Paint {
  const isColoured = isTerminal && !environment.NO_COLOR && environment.TERM !== 'dumb';
  return (colour, text) => (isColoured ? styleText(colour, text, { validateStream: false }) : text);
}

/** What steers a terminal, or makes a line read otherwise than it is written (U+202E and its like). */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Text from elsewhere, on one line and unable to steer the terminal. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(unprintable, '�');
}

/** JSON of the same value on one line: JSON itself escapes only U+0000 to U+001F, and a terminal obeys U+009B too. */
export function plainJson(value: unknown): string {
  return JSON.stringify(value).replace(unprintable, (character) =>
    Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
