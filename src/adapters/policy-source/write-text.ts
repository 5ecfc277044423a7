/** Writes policy documents as YAML that `readPolicyText` reads back. */
import { stringify } from 'yaml';
import type { StoredDocument } from '../../core/policy/document.ts';

/** One YAML document each; a comment marks those that only the operator's file may change. */
export function writePolicyText(documents: readonly StoredDocument[]): string {
  return documents
    .map(({ body, managedBy }) => {
      const mark = managedBy === 'file' ? '# managed by file\n' : '';
      return `---\n${mark}${stringify(body, { lineWidth: 0, aliasDuplicateObjects: false })}`;
    })
    .join('');
}
