import { createElement as h, type ReactNode } from 'react'
import { icon } from './icons.ts'
import { hrefOf, type Look, type Panel } from './model.ts'

/** The demo's controls: alerts to fire, faults to switch, and the targets' state first and now, changes marked. */
export function panelOf(panel: Panel, look: Look): ReactNode {
  return h(
    'section',
    { className: 'demo', 'data-key': 'demo', 'aria-label': 'Demo controls' },
    h(
      'header',
      { className: 'head' },
      h(
        'a',
        {
          className: 'bare back',
          href: hrefOf(look, { pane: 'nav' }),
          'data-go': '',
          'aria-label': 'Back to channels',
        },
        icon('back'),
      ),
      h('h2', null, icon('flask'), 'Demo controls'),
      h('p', { className: 'panel-message', role: 'status', 'data-keep': '' }),
      h(
        'button',
        { type: 'button', className: 'bare fold', 'data-fold': '', 'aria-label': 'Fold or unfold the demo controls' },
        icon('down'),
      ),
    ),
    h(
      'div',
      { className: 'demo-body', tabIndex: 0 },
      h(
        'div',
        { className: 'alerts' },
        h('h3', null, 'Fire an alert'),
        panel.alerts.map((alert) =>
          h(
            'div',
            { key: alert.id, className: 'alert-row' },
            h(
              'button',
              { type: 'button', className: 'btn row', 'data-panel': alert.id },
              h('b', null, alert.title),
              alert.note ? h('small', null, alert.note) : null,
            ),
            alert.resolve
              ? h(
                  'button',
                  {
                    type: 'button',
                    className: 'btn',
                    'data-panel': alert.resolve,
                    'aria-label': `Resolve: ${alert.title}`,
                  },
                  'Resolve',
                )
              : null,
          ),
        ),
      ),
      h(
        'div',
        { className: 'faults' },
        h('h3', null, 'Inject a fault'),
        panel.faults.map((fault) =>
          h(
            'button',
            {
              key: fault.id,
              type: 'button',
              className: 'btn row',
              'data-panel': fault.id,
              ...(fault.on === undefined ? {} : { role: 'switch', 'aria-checked': fault.on }),
            },
            fault.on === undefined ? null : h('span', { className: 'switch', 'aria-hidden': true }),
            h('b', null, fault.title),
            fault.note ? h('small', null, fault.note) : null,
          ),
        ),
      ),
      h('div', { className: 'targets' }, h('h3', null, 'Targets'), panel.targets.map(target)),
    ),
  )
}

function target(one: Panel['targets'][number]): ReactNode {
  const changed = one.before && JSON.stringify(one.before) !== JSON.stringify(one.rows)
  return h(
    'article',
    { key: one.id, 'data-key': one.id, className: 'target' },
    h('h4', null, one.title, one.note ? h('small', null, one.note) : null),
    changed ? table('Before', one.columns, one.before ?? [], one.rows, 'gone') : null,
    table(changed ? 'Now' : '', one.columns, one.rows, one.before ?? one.rows, 'new'),
  )
}

function table(caption: string, columns: string[], rows: string[][], other: string[][], mark: string): ReactNode {
  const cells = new Set(other.map((row) => JSON.stringify(row)))
  const none = h('tr', null, h('td', { colSpan: columns.length, className: 'none' }, 'nothing'))
  return h(
    'div',
    { className: 'table-scroll' },
    h(
      'table',
      null,
      caption ? h('caption', null, caption) : null,
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          columns.map((column) => h('th', { key: column, scope: 'col' }, column)),
        ),
      ),
      h(
        'tbody',
        null,
        rows.length
          ? rows.map((row, key) =>
              h(
                'tr',
                { key, className: cells.has(JSON.stringify(row)) ? undefined : mark },
                row.map((cell, column) => h('td', { key: column }, cell)),
              ),
            )
          : none,
      ),
    ),
  )
}
