/** How the demo looks: numbered steps, aligned rows, requests, answers, and colour on a terminal that wants it. */
import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Exclude<Parameters<typeof styleText>[0], readonly unknown[]>;

export interface Terminal {
  title(text: string, subtitle: string): void;
  step(number: number, text: string): void;
  /** A sentence of the story. */
  say(text: string): void;
  /** Rows aligned with each other. */
  rows(rows: readonly Row[]): void;
  /** Text that stands as it is, line by line, such as a policy document. */
  quote(text: string): void;
  /** A command that the demo carries out itself. */
  request(lines: readonly string[]): void;
  /** A command to paste: nothing stands before it. */
  command(lines: readonly string[]): void;
  answer(status: number, elapsedMillis: number, summary?: string): void;
  /** An expectation that held. */
  held(text: string): void;
  failed(text: string): void;
  blank(): void;
}

/** A label, a value and, dimmed, what there is to know about it. */
export type Row = readonly [label: string, value: string, note?: string | undefined];

export interface OutputStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const indent = '   ';
const minLabelWidth = 12;

/** Whether to write colour (https://no-color.org: any value that is not empty switches it off). */
function wantsColour(stream: OutputStream, environment: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
}

export function openTerminal(stream: OutputStream, environment: NodeJS.ProcessEnv): Terminal {
  const isColoured = wantsColour(stream, environment);
  const paint = (style: Style, text: string) =>
    isColoured ? styleText(style, text, { validateStream: false }) : text;
  const line = (text = '') => stream.write(`${text}\n`);

  return {
    title: (text, subtitle) => {
      line();
      line(`${paint('bold', text)}  ${subtitle}`);
    },
    step: (number, text) => {
      line();
      line(`${paint('cyan', `${number}`.padEnd(indent.length))}${paint('bold', text)}`);
      line();
    },
    say: (text) => line(`${indent}${text}`),
    rows: (rows) => {
      const width = Math.max(minLabelWidth, ...rows.map(([label]) => label.length));
      for (const [label, value, note] of rows) {
        const shown = note === undefined ? plain(value) : paint('bold', plain(value));
        const noted = note === undefined ? '' : paint('dim', `  ← ${note}`);
        line(`${indent}${paint('dim', label.padEnd(width))}  ${shown}${noted}`);
      }
    },
    quote: (text) => {
      for (const quoted of text.split('\n')) {
        line(`${indent}${paint('dim', '│')} ${stripVTControlCharacters(quoted)}`.trimEnd());
      }
    },
    request: (lines) => {
      line();
      for (const [index, text] of lines.entries()) {
        line(`${indent}${paint('dim', index === 0 ? '$' : ' ')} ${paint('cyan', text)}`);
      }
    },
    command: (lines) => {
      line();
      for (const text of lines) line(`${indent}${paint('cyan', text)}`);
    },
    answer: (status, elapsedMillis, summary = '') => {
      const style = status < 300 ? 'green' : 'yellow';
      const elapsed = paint('dim', `in ${Math.max(1, Math.round(elapsedMillis))} ms`);
      line(
        `${indent}${paint('dim', '→')} ${paint(style, `${status}`)} ${elapsed}  ${plain(summary)}`.trimEnd(),
      );
    },
    held: (text) => line(`${indent}${paint('green', '✓')} ${text}`),
    failed: (text) => line(`${indent}${paint('red', '✗')} ${text}`),
    blank: () => line(),
  };
}

/** Text that came over the network, on one line and unable to steer the terminal. */
function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}/gu, '�');
}
