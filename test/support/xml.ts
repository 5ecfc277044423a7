/** Reads XML 1.0 as strictly as our own reports need: elements, attributes, text and the five entities; anything else throws. */

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

const characters: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The elements at the top. Throws an Error where the text is not well-formed. */
export function readXml(text: string): readonly XmlElement[] {
  const illegal = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u.exec(text); // §2.2
  if (illegal) throw new Error(`not an XML character at ${illegal.index}`);
  const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!text.startsWith(declaration)) throw new Error('no XML declaration');
  const reader = { text: text.slice(declaration.length), at: 0 };
  const { children, text: rest } = readContent(reader);
  if (reader.at !== reader.text.length || rest.trim() !== '') throw new Error(`left over at ${reader.at}`);
  return children;
}

interface Reader {
  readonly text: string;
  at: number;
}

function take(reader: Reader, pattern: RegExp): RegExpExecArray | undefined {
  const sticky = new RegExp(pattern, 'y');
  sticky.lastIndex = reader.at;
  const match = sticky.exec(reader.text) ?? undefined;
  if (match) reader.at = sticky.lastIndex;
  return match;
}

function readContent(reader: Reader): Pick<XmlElement, 'children' | 'text'> {
  const children: XmlElement[] = [];
  let text = '';
  for (;;) {
    const [characterData] = take(reader, /[^<]+/) ?? [];
    if (characterData?.includes(']]>')) throw new Error('"]]>" in text'); // §2.4
    text += characterData === undefined ? '' : readEntities(characterData);
    const [, name] = take(reader, /<([a-z]+)/) ?? [];
    if (name === undefined) return { children, text };
    const attributes: Record<string, string> = {};
    for (;;) {
      const [, key, value] = take(reader, / ([a-z]+)="([^"<]*)"/) ?? [];
      if (key === undefined || value === undefined) break;
      if (key in attributes) throw new Error(`${key} stands twice`);
      attributes[key] = readEntities(value);
    }
    if (!take(reader, />/)) throw new Error(`no end of <${name}> at ${reader.at}`);
    const inner = readContent(reader);
    if (take(reader, /<\/([a-z]+)>/)?.[1] !== name) throw new Error(`no </${name}> at ${reader.at}`);
    children.push({ name, attributes, ...inner });
  }
}

function readEntities(text: string): string {
  return text.replace(/&([^;]*;?)/g, (whole, entity: string) => {
    const character = characters[entity.slice(0, -1)];
    if (!entity.endsWith(';') || character === undefined) throw new Error(`unknown entity ${whole}`);
    return character;
  });
}
