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

/** Text from elsewhere, on one line and unable to steer the terminal, or to be read in another order than it is written. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '�');
}

/** One line of JSON, which a terminal may be shown too: what could steer it is escaped (RFC 8259 §7), so nothing is lost. */
export function plainJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeUnits);
}

/** As UTF-16, since `\u` has four digits only. */
function escapeUnits(character: string): string {
  const units = character.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return units.map((digits) => `\\u${digits}`).join('');
}
