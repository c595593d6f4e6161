import { z } from 'zod'

const isLoopback = (host: string) => host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** The base that every request stays within: an origin and a path, nothing else. */
export const BaseUrl = z.url({ protocol: /^https?$/ }).refine((text) => {
  const url = new URL(text)
  return !url.search && !url.hash && !url.username && !url.password
}, 'leave out the query, the fragment and the credentials; a bearer token goes to tokenFrom')

type Guarded = { baseUrl: string; tokenFrom?: string | undefined }

/** What `refine` takes, so that no token goes over a line that others can read. */
export const secureFor: [(settings: Guarded) => boolean, { path: string[]; message: string }] = [
  (s) => !s.tokenFrom || !s.baseUrl.startsWith('http:') || isLoopback(new URL(s.baseUrl).hostname),
  { path: ['tokenFrom'], message: 'a token is sent over https only; change baseUrl' },
]
