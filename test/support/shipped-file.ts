/** Files of deploy/ as they are shipped, with a test's own places in them. */
import { expect } from 'vitest';

/** Every placeholder must be there, or the file that is tested is not the file that is shipped. */
export function replaceAll(text: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((changed, [placeholder, value]) => {
    expect(changed).toContain(placeholder);
    return changed.replaceAll(placeholder, () => value);
  }, text);
}
