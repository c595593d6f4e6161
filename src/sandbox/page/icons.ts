import { createElement as h, type ReactNode } from 'react'

const PATHS = {
  info: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8 7v4M8 4.9v.1',
  default: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8 7v4M8 4.9v.1',
  warning: 'M8 2 14.8 14H1.2L8 2ZM8 6.5v3.3M8 11.9v.1',
  error: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8 4.6v4.2M8 11.1v.1',
  success: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM5 8.2l2.1 2.1L11 6',
  back: 'M10 2.5 4.5 8l5.5 5.5',
  close: 'm3.5 3.5 9 9m0-9-9 9',
  send: 'M2.5 13.5 14 8 2.5 2.5 4 8l-1.5 5.5ZM4 8h5',
  file: 'M4 1.5h5l3.5 3.5v9.5H4v-13ZM9 1.5V5h3.5',
  download: 'M8 2v8m-3.5-3L8 10.5 11.5 7M2.5 13.5h11',
  home: 'M2.5 7.5 8 2.5l5.5 5v6.5h-4V10h-3v4h-4V7.5Z',
  flask: 'M6 1.5h4M6.7 1.5v4.7L2.9 13a1 1 0 0 0 .9 1.5h8.4a1 1 0 0 0 .9-1.5L9.3 6.2V1.5M4.8 10.5h6.4',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8ZM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z',
  key: 'M10.5 1.5a4 4 0 0 0-3.8 5.3L1.5 12v2.5H4V13h1.5v-1.5H7l2.2-2.2a4 4 0 1 0 1.3-7.8ZM11.3 4.7v.1',
  down: 'm3.5 6 4.5 4.5L12.5 6',
} as const

/** A line icon, 16 units wide, in the colour of the text around it; decoration only. */
export function icon(name: keyof typeof PATHS): ReactNode {
  return h(
    'svg',
    { viewBox: '0 0 16 16', width: 16, height: 16, className: `icon icon-${name}`, 'aria-hidden': true },
    h('path', {
      d: PATHS[name],
      fill: 'none',
      stroke: 'currentColor',
      strokeWidth: 1.5,
      strokeLinecap: 'round',
      strokeLinejoin: 'round',
    }),
  )
}
