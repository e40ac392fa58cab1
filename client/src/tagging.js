/**
 * Tells the server which of the page's own requests prove nobody's presence: same-origin `fetch` and XMLHttpRequest that are
 * sent while the tab is hidden, while nobody has touched it for longer than the activity window, or while the warning asks for
 * a choice, carry `X-Heartbeat: true`. So an application's own pollers keep nobody signed in, without a line of it changed.
 *
 * A page that was just opened has no input yet, so its first requests are tagged, too: the navigation was a request of its own and
 * has counted as one, and a page that reloads itself must not count as a person.
 *
 * What a caller has decided stays: a request that says `X-Heartbeat` itself, whatever its value, or `X-Stillhere`, as the
 * client's own messages do. Nothing can be said by EventSource, WebSocket, sendBeacon and `no-cors`, which take no headers.
 *
 * @import { Session, Snapshot } from "./types.js"
 */

const HEADER = "X-Heartbeat"
const DECIDED = [HEADER, "X-Stillhere"]

/**
 * Whether a request sent now says nothing of a person.
 * @param {Pick<Snapshot, "state" | "idleMs">} snapshot
 * @param {DocumentVisibilityState} visibility
 * @param {number} activityWindow  ms
 */
export const isUnattended = ({ state, idleMs }, visibility, activityWindow) =>
  visibility !== "visible" || idleMs === null || idleMs > activityWindow || state === "expiring"

/**
 * What to give to `fetch` instead, in the shape it came in, for others may have wrapped `fetch` before. A Request is copied just as
 * `fetch` would copy it, so the caller's own stays as it was.
 * @param {any} input
 * @param {any} [init]
 * @returns {any[]}
 */
export function tagged(input, init) {
  if (input.url) {
    const request = new Request(input, init)
    if (!DECIDED.some((name) => request.headers.has(name))) request.headers.set(HEADER, "true")
    return [request]
  }
  /** @type {any} */
  const options = {}
  // As the browser reads it: with what it inherits.
  for (const name in init) options[name] = init[name]
  const { headers } = options
  const list = new Headers(headers)
  if (DECIDED.some((name) => list.has(name))) return [input, init]
  list.set(HEADER, "true")
  if (Array.isArray(headers)) options.headers = [...headers, [HEADER, "true"]]
  else options.headers = Symbol.iterator in Object(headers) ? list : { ...headers, [HEADER]: "true" }
  return [input, options]
}

/**
 * Tags this page's requests until the session is stopped, or what is returned is called.
 * @param {Session} session
 * @param {{ activityWindow?: number, prefix?: string }} [options]  ms after an input in which requests count; beginning of the paths
 *   that are tagged at all
 * @returns {() => void}
 */
export function tagRequests(session, { activityWindow = 120_000, prefix = "/" } = {}) {
  const unattended = () => isUnattended(session.state(), document.visibilityState, activityWindow)
  // A document without an origin has one that equals nothing, and a `blob:` or `data:` address has no host.
  const isOurs = (/** @type {any} */ url) => {
    const { origin, host, pathname } = new URL(url, document.baseURI)
    return origin === self.origin && !!host && pathname.startsWith(prefix)
  }

  /** @type {(() => void)[]} */
  const undos = []
  /** @type {(owner: any, name: string, apply: (native: any, self: any, args: any[]) => unknown) => void} */
  const wrap = (owner, name, apply) => {
    const native = owner[name]
    /** @type {ProxyHandler<any>} */
    const handler = { apply }
    const wrapped = (owner[name] = new Proxy(native, handler))
    undos.push(() => {
      // Whoever wrapped this one in the meantime keeps it; without its trap it is the native one in all but identity.
      delete handler.apply
      if (owner[name] === wrapped) owner[name] = native
    })
  }

  wrap(window, "fetch", (fetch, self, args) => {
    try {
      if (unattended() && isOurs(args[0].url ?? args[0])) args = tagged(args[0], args[1])
    } catch {
      // What makes no request is refused by fetch itself, in its own words.
    }
    return Reflect.apply(fetch, self, args)
  })

  const { prototype } = XMLHttpRequest
  const { setRequestHeader } = prototype
  /** Opened to our own origin, not yet sent, and the caller has not decided. @type {WeakSet<XMLHttpRequest>} */
  const taggable = new WeakSet()
  wrap(prototype, "open", (native, xhr, args) => {
    Reflect.apply(native, xhr, args)
    taggable[isOurs(args[1]) ? "add" : "delete"](xhr)
  })
  wrap(prototype, "setRequestHeader", (native, xhr, args) => {
    Reflect.apply(native, xhr, args)
    if (DECIDED.some((name) => name.toLowerCase() === String(args[0]).toLowerCase())) taggable.delete(xhr)
  })
  wrap(prototype, "send", (native, xhr, args) => {
    if (taggable.delete(xhr) && unattended()) Reflect.apply(setRequestHeader, xhr, [HEADER, "true"])
    Reflect.apply(native, xhr, args)
  })

  const undo = () => undos.splice(0).forEach((undoOne) => undoOne())
  session.onStop(undo)
  return undo
}
