import type { FastifyInstance } from 'fastify'
import type { State } from './state.ts'

/** Where the bytes of files go and come from: the upload URL and the private URL. */
export function fileRoutes(
  app: FastifyInstance,
  state: State,
  authorised: (header: string | undefined) => boolean,
): void {
  app.post<{ Params: { id: string }; Body: Buffer }>('/files/upload/:id', async (request, reply) => {
    const file = state.files.get(request.params.id)
    if (!file || file.uploaded) return reply.code(404).send('no such upload')
    const type = request.headers['content-type'] ?? ''
    const content = type.startsWith('multipart/form-data') ? await firstFile(request.body, type) : request.body
    if (content.length !== file.size) return reply.code(400).send(`expected ${file.size} bytes, got ${content.length}`)
    Object.assign(file, { content, uploaded: true })
    return reply.type('text/plain').send(`OK - ${file.size}`)
  })

  app.get<{ Params: { id: string } }>('/files/:id', async (request, reply) => {
    const file = state.files.get(request.params.id)
    if (!file?.completed) return reply.code(404).send('no such file')
    // The page shows files without a token; a program needs one, as with Slack.
    const fromPage = request.headers['sec-fetch-site'] === 'same-origin'
    if (!fromPage && !authorised(request.headers.authorization)) return reply.code(403).send('not authorised')
    const name = encodeURIComponent(file.name)
    return reply
      .header('content-disposition', `attachment; filename*=UTF-8''${name}`)
      .header('x-content-type-options', 'nosniff')
      .type(file.mimetype)
      .send(file.content)
  })
}

async function firstFile(body: Buffer, contentType: string): Promise<Buffer> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData()
  for (const part of form.values()) if (typeof part !== 'string') return Buffer.from(await part.arrayBuffer())
  return Buffer.alloc(0)
}
