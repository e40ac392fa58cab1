/**
 * One client for all parts of a page that want one. It runs while somebody holds it. Who lets go and takes hold again in the same turn
 * (React's strict mode, a change of route) finds it still there. A client that the page started by itself is joined, and left as it was.
 *
 * @import { Options, Over, Session, Snapshot } from "./types.js"
 * @import { CreateUI } from "./assemble.js"
 */
import { assemble } from "./assemble.js"

/** @typedef {Snapshot & { over: Over | null }} View  how things stand, and why it ended */
/** @typedef {"state" | "refreshed" | "ended" | "error" | "drafts"} Told */
/**
 * @typedef {object} Holder
 * @property {Options} options  without callbacks
 * @property {boolean} endsItself  has its own way to end: nothing is shown, nobody is sent anywhere
 * @property {boolean} savesDrafts
 * @property {CreateUI} [createUI]
 * @property {(name: Told, detail: any) => unknown} tell
 */

/** Before the server's first word, and on a server. @type {View} */
export const UNKNOWN = Object.freeze({
  state: "unknown",
  expiresInMs: null,
  warnInMs: null,
  idleInMs: null,
  absoluteInMs: null,
  canExtend: false,
  failures: 0,
  visibleMs: 0,
  activeMs: 0,
  idleMs: null,
  view: "",
  tab: "",
  over: null,
})

/** @type {Set<Holder>} */
const holders = new Set()
/** Holders that came since the client was last looked after. @type {Set<Holder>} */
const arrived = new Set()
/** @type {Set<() => void>} */
const watchers = new Set()
/** @type {Session | undefined} */
let session
/** Takes our listeners off the client, and stops it if we started it. */
let release = () => {}
/** The options it was started with, to compare. */
let startedWith = ""
let view = UNKNOWN
/** @type {Over | null} */
let over = null

/**
 * Keeps a client running until the returned function is called; that holder is told nothing any more from then on.
 * @param {Holder} holder
 */
export function hold(holder) {
  holders.add(holder)
  arrived.add(holder)
  queueMicrotask(settle)
  return () => {
    holders.delete(holder)
    arrived.delete(holder)
    queueMicrotask(settle)
  }
}

/** The client, as soon as somebody holds one. */
export const current = () => {
  settle()
  return session
}

export const look = () => view

/**
 * Calls back whenever the view changed; with `tickMs` also that often, while there is something to count down.
 * @param {() => void} notify
 * @param {number} [tickMs]
 */
export function watch(notify, tickMs) {
  watchers.add(notify)
  const tick = () => {
    if (!session || over) return
    refresh()
    notify()
  }
  const timer = tickMs && setInterval(tick, tickMs)
  return () => {
    clearInterval(timer)
    watchers.delete(notify)
  }
}

/** Our client stops and starts anew: somebody signed in without a new page. */
export const restart = () => {
  stop()
  settle()
}

function settle() {
  if (!holders.size) stop()
  else if (!session || arrived.size) {
    const options = merged()
    const wanted = JSON.stringify(Object.entries(options).sort())
    // The end is for ever, until somebody says `restart`.
    if (!session || (!over && wanted !== startedWith)) {
      stop()
      startedWith = wanted
      start(options)
    }
    // Who comes after the end is told of it, too.
    if (over) for (const holder of arrived) holder.tell("ended", over)
    arrived.clear()
  }
}

/**
 * What all holders want together; of two that differ the later one wins. A client that nobody gave looks ends without them.
 * @returns {Options}
 */
function merged() {
  /** @type {Record<string, any>} */
  const options = {}
  for (const holder of holders) {
    for (const [name, value] of Object.entries(holder.options)) if (value !== undefined) options[name] = value
    if (holder.endsItself) options.onSessionExpired = () => {}
    if (holder.savesDrafts) {
      options.saveDrafts = (/** @type {object} */ why) => Promise.all([...holders].map(({ tell }) => tell("drafts", why)))
    }
  }
  const hasLooks = [...holders].some((holder) => holder.createUI)
  if (!hasLooks) options.login ??= false
  options.dialog = hasLooks && options.dialog !== false
  return options
}

/** @param {Options} options */
function start({ dialog, ...options }) {
  const createUI = [...holders].find((holder) => holder.createUI)?.createUI
  // The page's own client, from a script tag or from start(), goes on as it was started.
  let isOurs = false
  const startOurs = assemble((say, given) => {
    isOurs = true
    return dialog ? createUI?.(say, given) : undefined
  })
  /** @type {Session} */
  const client = /** @type {any} */ (globalThis).stillhere?.session ?? startOurs(options)
  /** @param {Told} name @param {(detail: any) => void} [first] */
  const pass = (name, first) =>
    client.on(name, (detail) => {
      first?.(detail)
      refresh()
      for (const holder of holders) holder.tell(name, detail)
      for (const notify of watchers) notify()
    })
  const passed = [pass("state"), pass("refreshed"), pass("error"), pass("ended", (detail) => (over = detail))]
  session = client
  release = () => {
    for (const off of passed) off()
    if (isOurs) client.stop()
  }
  refresh()
  for (const notify of watchers) notify()
}

function stop() {
  if (!session) return
  release()
  session = undefined
  over = null
  refresh()
  for (const notify of watchers) notify()
}

function refresh() {
  view = session ? { ...session.state(), over } : UNKNOWN
}
