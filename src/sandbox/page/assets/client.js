import { entriesOf, entryOf, faultsOf } from './fields.js'
import { morph } from './morph.js'

/** @typedef {{ ok: boolean, status?: number, error?: string, errors?: Record<string, string>, message?: string }} Answer */

const $ = (/** @type {string} */ selector) => /** @type {HTMLElement | null} */ (document.querySelector(selector))
const $$ = (/** @type {string} */ selector) => /** @type {HTMLElement[]} */ ([...document.querySelectorAll(selector)])
const app = () => /** @type {HTMLElement} */ (document.getElementById('app'))
const me = () => app().dataset.as ?? ''

/** Presses that are under way or were not answered, by control. @type {Map<string, { state: string, text: string }>} */
const presses = new Map()
/** What the last submit of each view was told, by block; it covers what the page was rendered with. @type {Map<string, Record<string, string>>} */
const told = new Map()
/** The last message that each person was notified of. @type {Map<string, number>} */
const notified = new Map()

/**
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<Answer>}
 */
async function post(path, body = {}) {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = await response.json()
    return { ...answer, ok: response.ok && answer.ok !== false }
  } catch {
    return { ok: false, error: 'The sandbox cannot be reached.' }
  }
}

let loading = false
let again = false
/** Fetches the page anew and shows it; calls during a fetch make it fetch once more. */
async function refresh() {
  again = true
  if (loading) return
  loading = true
  try {
    while (again) {
      again = false
      const { search } = location
      const response = await fetch(`/view${search}`)
      if (!response.ok) break
      const next = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('app')
      if (next && search === location.search) show(next)
      else again = true
    }
  } catch {
    document.body.dataset.offline = ''
  } finally {
    loading = false
  }
}

/** @param {HTMLElement} next */
function show(next) {
  const low = new Set($$('.scroll').filter((one) => one.scrollHeight - one.scrollTop - one.clientHeight < 40))
  const old = new Set($$('.scroll'))
  morph(app(), next)
  paint()
  for (const one of $$('main .scroll, .thread .scroll'))
    if ((low.has(one) || !old.has(one)) && !one.closest('.home')) one.scrollTop = one.scrollHeight
}

/** Adds to the rendering what only this browser knows. */
function paint() {
  const who = /** @type {HTMLSelectElement | null} */ ($('[data-who]'))
  if (who) who.value = me()
  paintPresses()
  paintUnread()
  paintModal()
  for (const box of $$('[data-preview]:not([data-loaded])')) void preview(box)
  notify()
}

function paintPresses() {
  for (const mark of $$('.press-error')) mark.remove()
  for (const control of $$('[data-control]')) {
    const press = presses.get(idOf(control))
    if (!press) {
      control.removeAttribute('data-state')
      continue
    }
    control.dataset.state = press.state
    if (press.state !== 'error') continue
    const mark = document.createElement('span')
    mark.className = 'press-error'
    mark.setAttribute('role', 'alert')
    mark.textContent = press.text
    control.after(mark)
  }
}

function paintUnread() {
  const key = `read ${me()}`
  const read = JSON.parse(sessionStorage.getItem(key) ?? '{}')
  for (const item of $$('[data-unread]')) {
    const { unread = '', latest = '0' } = item.dataset
    if (item.hasAttribute('aria-current') && document.visibilityState === 'visible') read[unread] = latest
    item.classList.toggle('unread', Number(latest) > Number(read[unread] ?? 0))
  }
  sessionStorage.setItem(key, JSON.stringify(read))
}

function paintModal() {
  const dialog = /** @type {HTMLDialogElement | null} */ ($('dialog.modal'))
  if (!dialog) return
  if (!dialog.open) {
    dialog.showModal()
    const first = /** @type {HTMLElement | null} */ (dialog.querySelector('.field, .choices input, footer .btn'))
    first?.focus()
  }
  const errors = told.get(dialog.dataset.view ?? '') ?? {}
  for (const line of /** @type {NodeListOf<HTMLElement>} */ (dialog.querySelectorAll('[data-error]'))) {
    const text = errors[line.dataset.error ?? '']
    if (text !== undefined) line.textContent = text
    const control = line.parentElement?.querySelector('[data-control]')
    control?.setAttribute('aria-invalid', String(line.textContent !== ''))
  }
}

/** @param {HTMLElement} box */
async function preview(box) {
  box.dataset.loaded = ''
  try {
    const { pathname, search } = new URL(box.dataset.preview ?? '', location.href)
    const response = await fetch(pathname + search)
    const text = await response.text()
    box.textContent = response.ok ? text.slice(0, 20_000) : 'The file cannot be read.'
  } catch {
    box.textContent = 'The file cannot be read.'
  }
}

/** Shows the newest message of somebody else as a phone would, unless it is in view. */
function notify() {
  const { note, as = '', thread = '', pane } = app().dataset
  if (!note) return
  const { ts, channel, thread: parent, where, from, text } = JSON.parse(note)
  const before = notified.get(as)
  notified.set(as, Math.max(before ?? 0, Number(ts)))
  if (before === undefined || Number(ts) <= before) return
  const current = $('.message[data-channel]')?.dataset.channel === channel
  if (current && (parent ? parent === thread : pane === 'channel' || pane === 'thread')) return
  const toast = document.createElement('button')
  toast.className = 'toast'
  const head = document.createElement('b')
  head.textContent = `${from} in ${where}`
  const body = document.createElement('span')
  body.textContent = text
  toast.append(head, body)
  toast.addEventListener('click', () => {
    toast.remove()
    go(`/?${new URLSearchParams({ as, channel, thread: parent || '', pane: parent ? 'thread' : 'channel' })}`)
  })
  $('#toasts')?.replaceChildren(toast)
  setTimeout(() => toast.remove(), 7000)
}

/** @param {string} href */
function go(href) {
  history.pushState(null, '', href)
  void refresh()
}

/** @param {HTMLElement} control */
function whereOf(control) {
  const view = /** @type {HTMLElement | null} */ (control.closest('[data-view]'))
  if (view) return { view_id: view.dataset.view }
  const message = /** @type {HTMLElement | null} */ (control.closest('[data-ts]'))
  return { channel: message?.dataset.channel, ts: message?.dataset.ts }
}

/** @param {HTMLElement} control */
const idOf = (control) => JSON.stringify([me(), whereOf(control), control.dataset.block, control.dataset.action])

/**
 * Asks whether it is meant. The message may be edited meanwhile, and the element become another control: the answer is
 * the one that is now what was pressed, or null.
 * @param {HTMLElement} control
 */
async function meant(control) {
  const what = (/** @type {HTMLElement} */ one) =>
    JSON.stringify([whereOf(one), one.dataset.action, one.dataset.value, one.dataset.option])
  const before = what(control)
  if (!(await confirmed(JSON.parse(control.dataset.confirm ?? '{}')))) return null
  return $$('[data-control]').find((one) => what(one) === before) ?? null
}

/** @param {HTMLElement} pressed */
async function press(pressed) {
  if (presses.get(idOf(pressed))?.state === 'pending') return
  const control = pressed.dataset.confirm ? await meant(pressed) : pressed
  if (!control) return
  const id = idOf(control)
  const view = control.closest('[data-view]')
  presses.set(id, { state: 'pending', text: '' })
  paintPresses()
  const answer = await post('/ui/press', {
    as: me(),
    ...whereOf(control),
    type: control.dataset.control,
    action_id: control.dataset.action,
    block_id: control.dataset.block,
    ...entryOf(control),
    ...(view ? { values: entriesOf(view) } : {}),
  })
  if (answer.ok) presses.delete(id)
  else
    presses.set(id, {
      state: 'error',
      text: answer.error || `The app answered with status ${answer.status ?? 'none'}.`,
    })
  paintPresses()
  await refresh()
}

/**
 * Asks as Slack does for elements with a confirm object.
 * @param {{ title?: { text: string }, text?: { text: string }, confirm?: { text: string }, deny?: { text: string }, style?: string }} confirm
 * @returns {Promise<boolean>}
 */
function confirmed(confirm) {
  const dialog = document.createElement('dialog')
  dialog.className = 'modal confirm'
  const title = document.createElement('h2')
  title.textContent = confirm.title?.text ?? 'Are you sure?'
  const text = document.createElement('p')
  text.textContent = confirm.text?.text ?? ''
  const buttons = document.createElement('footer')
  for (const [value, label, style] of [
    ['no', confirm.deny?.text ?? 'Cancel', ''],
    ['yes', confirm.confirm?.text ?? 'OK', confirm.style === 'danger' ? 'danger' : 'primary'],
  ]) {
    const button = document.createElement('button')
    button.className = `btn ${style}`
    button.textContent = label ?? ''
    button.addEventListener('click', () => dialog.close(value))
    buttons.append(button)
  }
  dialog.append(title, text, buttons)
  document.body.append(dialog)
  dialog.showModal()
  return new Promise((resolve) =>
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes')
    }),
  )
}

/** @param {HTMLElement} dialog */
async function submit(dialog) {
  const view = dialog.dataset.view ?? ''
  const blocks = [.../** @type {NodeListOf<HTMLElement>} */ (dialog.querySelectorAll('[data-error]'))]
  const clean = Object.fromEntries(blocks.map((line) => [line.dataset.error ?? '', '']))
  const faults = faultsOf(dialog)
  const trouble = /** @type {HTMLElement} */ (dialog.querySelector('.submit-error'))
  trouble.textContent = ''
  told.set(view, { ...clean, ...faults })
  paintModal()
  if (Object.keys(faults).length > 0) return focusFault(dialog)
  const button = /** @type {HTMLElement} */ (dialog.querySelector('[type=submit]'))
  if (button.dataset.state === 'pending') return
  button.dataset.state = 'pending'
  const answer = await post('/ui/submit', { as: me(), view_id: view, values: entriesOf(dialog) })
  button.removeAttribute('data-state')
  if (answer.errors) told.set(view, { ...clean, ...answer.errors })
  else if (!answer.ok) trouble.textContent = `We had some trouble connecting. Try again? ${answer.error ?? ''}`
  paintModal()
  focusFault(dialog)
  await refresh()
}

/** @param {HTMLElement} dialog */
function focusFault(dialog) {
  const bad = /** @type {HTMLElement | null} */ (dialog.querySelector('[aria-invalid=true]'))
  const field = bad?.matches('.choices') ? bad.querySelector('input') : bad
  field?.focus()
}

/** @param {HTMLElement} dialog */
async function close(dialog) {
  await post('/ui/close', { as: me(), view_id: dialog.dataset.view })
  await refresh()
}

/** @param {HTMLFormElement} form */
async function say(form) {
  const box = form.querySelector('textarea')
  const text = box?.value.trim()
  if (!box || !text) return
  box.value = ''
  const { say: channel, thread } = form.dataset
  const answer = await post('/ui/say', { as: me(), channel, text, ...(thread ? { thread_ts: thread } : {}) })
  if (!answer.ok) box.value = text
  await refresh()
}

/** @param {HTMLElement} button */
async function pull(button) {
  button.dataset.state = 'pending'
  const answer = await post(`/ui/panel/${encodeURIComponent(button.dataset.panel ?? '')}`)
  button.removeAttribute('data-state')
  const line = $('.panel-message')
  if (line) line.textContent = answer.message ?? (answer.ok ? '' : (answer.error ?? 'That did not work.'))
  await refresh()
}

/** @param {boolean} [turn] */
function fold(turn = false) {
  const folded = (localStorage.getItem('folded') === 'yes') !== turn
  localStorage.setItem('folded', folded ? 'yes' : 'no')
  document.body.classList.toggle('folded', folded)
}

document.addEventListener('click', (event) => {
  const target = /** @type {HTMLElement} */ (event.target)
  const at = (/** @type {string} */ selector) => /** @type {HTMLElement | null} */ (target.closest(selector))
  const link = at('a[data-go], a.mention')
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault()
    go(link.getAttribute('href') ?? '/')
    if ('home' in link.dataset) void post('/ui/home', { as: me() })
    return
  }
  const control = at('[data-control=button], [data-control=overflow]')
  if (control) {
    control.closest('details')?.removeAttribute('open')
    void press(control)
  }
  const dialog = at('dialog[data-view]')
  if (dialog && at('[data-close]')) void close(dialog)
  const lever = at('[data-panel]')
  if (lever) void pull(lever)
  if (at('[data-fold]')) fold(true)
})

document.addEventListener('change', (event) => {
  const target = /** @type {HTMLElement} */ (event.target)
  if (target.matches('[data-who]')) {
    const query = new URLSearchParams(location.search)
    query.set('as', /** @type {HTMLSelectElement} */ (target).value)
    return go(`/?${query}`)
  }
  const control = /** @type {HTMLElement | null} */ (target.closest('[data-control]'))
  if (control && (!control.closest('[data-input]') || 'dispatch' in control.dataset)) void press(control)
})

document.addEventListener('input', (event) => {
  const input = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest('[data-input]'))
  const view = /** @type {HTMLElement | null} */ (input?.closest('[data-view]'))
  if (!input || !view) return
  told.set(view.dataset.view ?? '', { ...told.get(view.dataset.view ?? ''), [input.dataset.input ?? '']: '' })
  paintModal()
})

document.addEventListener('submit', (event) => {
  event.preventDefault()
  const form = /** @type {HTMLFormElement} */ (event.target)
  const dialog = /** @type {HTMLElement | null} */ (form.closest('dialog[data-view]'))
  if (dialog) void submit(dialog)
  else if ('say' in form.dataset) void say(form)
})

document.addEventListener(
  'cancel',
  (event) => {
    const dialog = /** @type {HTMLElement} */ (event.target)
    if (!dialog.matches('dialog[data-view]')) return
    event.preventDefault()
    void close(dialog)
  },
  true,
)

document.addEventListener('keydown', (event) => {
  const form = /** @type {HTMLElement} */ (event.target).closest('form[data-say]')
  if (form && event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault()
    void say(/** @type {HTMLFormElement} */ (form))
  }
})

addEventListener('popstate', () => void refresh())
document.addEventListener('visibilitychange', () => paintUnread())

const events = new EventSource('/ui/events')
events.addEventListener('change', () => void refresh())
events.addEventListener('open', () => {
  delete document.body.dataset.offline
  void refresh()
})
events.addEventListener('error', () => {
  document.body.dataset.offline = ''
})

fold()
paint()
for (const one of $$('main.channel .scroll, .thread .scroll')) one.scrollTop = one.scrollHeight
if (app().dataset.pane === 'home') void post('/ui/home', { as: me() })
