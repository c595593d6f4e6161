/** An element with what stands in it. */
export type XmlNode = { name: string; text: string; children: XmlNode[] }

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const plain = (text: string) =>
  text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (all, dec: string, hex: string, name: string) =>
    dec
      ? String.fromCodePoint(Number(dec))
      : hex
        ? String.fromCodePoint(Number.parseInt(hex, 16))
        : (ENTITIES[name] ?? all),
  )

/** The root element of a document as services write it: no CDATA, no comments. Attributes are left out. */
export function parseXml(text: string): XmlNode {
  const top: XmlNode = { name: '', text: '', children: [] }
  const open = [top]
  for (const [, close, name, empty, between] of text.matchAll(/<(\/?)([\w:.-]+)[^<>]*?(\/?)>|<\?[^>]*\?>|([^<]+)/g)) {
    const here = open.at(-1)!
    if (between !== undefined) here.text += plain(between)
    else if (close) {
      if (here.name !== name) throw new Error(`</${name}> closes <${here.name}>`)
      open.pop()
    } else if (name) {
      const node: XmlNode = { name, text: '', children: [] }
      here.children.push(node)
      if (!empty) open.push(node)
    }
  }
  if (open.length > 1 || top.children.length !== 1) throw new Error('the XML is not one whole element')
  return top.children[0]!
}
