/** How the demo looks: numbered steps, aligned rows, requests, answers, and colour on a terminal that wants it. */
import { stripVTControlCharacters, styleText } from 'node:util';

export type Style = Exclude<Parameters<typeof styleText>[0], readonly unknown[]>;

export interface Terminal {
  title(text: string, subtitle: string): void;
  step(number: number, text: string): void;
  /** A sentence of the story. */
  say(text: string): void;
  /** A label, a value and, dimmed, what there is to know about it. */
  row(label: string, value: string, note?: string): void;
  /** Text that stands as it is, line by line, such as a policy document. */
  quote(text: string): void;
  request(lines: readonly string[]): void;
  answer(status: number, text: string): void;
  /** An expectation that held. */
  held(text: string): void;
  failed(text: string): void;
  blank(): void;
}

export interface OutputStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const indent = '   ';
const labelWidth = 14;

/** Whether to write colour (https://no-color.org: any value that is not empty switches it off). */
export function wantsColour(stream: OutputStream, environment: NodeJS.ProcessEnv): boolean {
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
      line(`${paint('bold', text)}  ${paint('dim', subtitle)}`);
    },
    step: (number, text) => {
      line();
      line(`${paint('cyan', `${number}`.padEnd(indent.length))}${paint('bold', text)}`);
      line();
    },
    say: (text) => line(`${indent}${text}`),
    row: (label, value, note) => {
      const noted = note === undefined ? '' : paint('dim', `  ← ${note}`);
      line(`${indent}${paint('dim', label.padEnd(labelWidth))}  ${plain(value)}${noted}`);
    },
    quote: (text) => {
      for (const quoted of text.split('\n'))
        line(`${indent}${paint('dim', '│')} ${stripVTControlCharacters(quoted)}`);
    },
    request: (lines) => {
      line();
      for (const [index, text] of lines.entries()) {
        line(`${indent}${paint('dim', index === 0 ? '$' : ' ')} ${paint('cyan', text)}`);
      }
    },
    answer: (status, text) => {
      const style = status < 300 ? 'green' : 'yellow';
      line(`${indent}${paint('dim', '→')} ${paint(style, `${status}`)} ${paint('dim', text)}`);
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
