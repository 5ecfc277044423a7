/** Keeps the texts of the audit bounded, whatever a caller or an admin wrote. */

const maxTextLength = 256;

/** The text, or its beginning and an ellipsis: `maxLength` characters at most. */
export function clip(text: string, maxLength = maxTextLength): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;
}
