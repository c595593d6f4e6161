/** What a handler throws: AWS's error code and message. */
export class Fault extends Error {
  readonly code: string
  readonly status: number
  constructor(code: string, message: string, status = 400) {
    super(message)
    this.code = code
    this.status = status
  }
}

export const escapeXml = (text: string) =>
  text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]!)
export const element = (name: string, value: string | number | undefined) =>
  value === undefined ? '' : `<${name}>${escapeXml(String(value))}</${name}>`
