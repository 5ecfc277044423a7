/** How the demo looks: colour only where it is wanted, rows aligned, nothing from the network that steers the terminal. */
import { describe, expect, it } from 'vitest';
import { ExpectationFailed, expectEqual } from './expectation.ts';
import { openTerminal } from './terminal.ts';
import { shortenTokens, showToken } from './token-view.ts';

function capture(options: { isTTY?: boolean; environment?: NodeJS.ProcessEnv } = {}) {
  let written = '';
  const stream = {
    isTTY: options.isTTY ?? false,
    write: (text: string) => {
      written += text;
    },
  };
  return { terminal: openTerminal(stream, options.environment ?? {}), written: () => written };
}

describe('the terminal', () => {
  it.each([
    ['a terminal', true, {}, true],
    ['a terminal with an empty NO_COLOR', true, { NO_COLOR: '' }, true],
    ['a terminal with NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['a dumb terminal', true, { TERM: 'dumb' }, false],
    ['a pipe', false, {}, false],
  ])('on %s: colour %s', (_name, isTTY, environment, isColoured) => {
    const { terminal, written } = capture({ isTTY, environment });
    terminal.held('it held');
    expect(written().includes('\u001b[')).toBe(isColoured);
    expect(written()).toContain('it held');
  });

  it('aligns rows by the longest label', () => {
    const { terminal, written } = capture();
    terminal.rows([
      ['a-label-of-16-chars', '1'],
      ['b', '2', 'a note'],
    ]);
    expect(written()).toBe('   a-label-of-16-chars  1\n   b                    2  ← a note\n');
  });

  it('lets no value move the cursor or begin a line', () => {
    const { terminal, written } = capture();
    terminal.rows([['scope', 'a\u001b[2Jb\r\n✓ forged']]);
    expect(written()).toBe('   scope         ab��✓ forged\n');
  });
});

describe('a token on screen', () => {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = `${encode({ alg: 'ES256' })}.${encode({ 'kubernetes.io': { namespace: 'shop' }, aud: ['a'], iat: 10, exp: 70 })}.c2ln`;

  it('has one row a claim, nested claims under their path', () => {
    const { terminal, written } = capture();
    showToken(terminal, token, { aud: 'one' });
    expect(
      written()
        .split('\n')
        .map((line) => line.trim()),
    ).toEqual([
      'header                   {"alg":"ES256"}',
      'kubernetes.io.namespace  shop',
      'aud                      ["a"]  ← one',
      'iat                      10',
      'exp                      70 (60 s after iat)',
      '',
    ]);
  });

  it('is shortened in an answer', () => {
    const shown = shortenTokens(`{"access_token":"${token}"}`);
    expect(shown).toBe(`{"access_token":"${token.slice(0, 12)}…c2ln"}`);
  });
});

describe('an expectation', () => {
  it('is printed where it holds, and ends the demo where it does not', () => {
    const { terminal, written } = capture();
    expectEqual(terminal, 'alpha accepts it', [200, { aud: 'alpha' }], [200, { aud: 'alpha' }]);
    expect(written()).toContain('✓ alpha accepts it');
    const failing = () => expectEqual(terminal, 'beta refuses it', [200], [401]);
    expect(failing).toThrow(ExpectationFailed);
    expect(failing).toThrow('beta refuses it: expected [401], actual [200]');
    expect(written()).toContain('✗ beta refuses it');
  });
});
