/**
 * What happens in the page, as events for the machine. One listener for each thing, all on the window, which every event of the
 * document passes first; capture, passive, gone after stop(). Never `unload` or `beforeunload`: they shut the page out
 * of the back/forward cache.
 *
 * @import { Event as MachineEvent } from "./types.js"
 */

/** Input is told to the machine at most this often. */
const EVERY = 1_000
/** A scroll this soon after a person's input is theirs. */
const FOLLOWS = 1_000
/** Pixels a pointer must have moved since it last counted. */
const MOVED = 3
/** So long a page that changed without loading may need until it is itself. */
const SETTLES = 1_000

/**
 * @param {(event: MachineEvent) => void} emit
 * @param {() => number} clock
 * @param {() => string} newView
 */
export function listen(emit, clock, newView) {
  const stop = new AbortController()
  const on = (/** @type {string} */ types, /** @type {(event: any) => void} */ handle, /** @type {EventTarget} */ target = window) => {
    for (const type of types.split(" ")) target.addEventListener(type, handle, { capture: true, passive: true, signal: stop.signal })
  }
  const isVisible = () => document.visibilityState === "visible" && !(/** @type {any} */ (document).prerendering)
  // Between pagehide and pageshow the browser tells of showing, too; that story is `restored`.
  let cached = false
  const begin = () => cached || emit(isVisible() ? { type: "visible", view: newView() } : { type: "hidden" })

  on("visibilitychange prerenderingchange", begin)
  // A frozen page comes back hidden: nothing to say, but timers were lost, and the deadline may have passed.
  on("focus resume", () => emit({ type: "timer" }))
  on("freeze", () => emit({ type: "freeze" }))
  on("online", () => emit({ type: "online" }))
  on("pagehide", ({ persisted }) => {
    emit({ type: "pagehide" })
    cached = persisted
  })
  on("pageshow", ({ persisted }) => {
    if (!persisted) return
    cached = false
    deepest = 0
    emit({ type: "restored", view: newView(), visible: isVisible() })
  })
  let deepest = 0
  /** A page that has just changed without loading still has the old one's title and height. */
  let settledAt = 0
  const isSettled = () => clock() >= settledAt
  /** How deep the page was seen. */
  const measure = () => {
    if (!isSettled()) return
    const { scrollTop, clientHeight, scrollHeight } = document.documentElement
    return (deepest = Math.max(deepest, Math.min(100, Math.round(((scrollTop + clientHeight) / scrollHeight) * 100)) || 0))
  }
  on("scroll", measure)
  // Another path is another page, however the application got there; a changed query or fragment is not. Where the browser does not tell of
  // `pushState`, it is seen at the next event.
  let path = location.pathname
  const follow = () => {
    if (path === location.pathname) return
    path = location.pathname
    settledAt = clock() + SETTLES
    const scrollPct = deepest
    deepest = 0
    emit({ type: "navigated", view: newView(), scrollPct })
  }
  on("popstate", follow)
  const { navigation } = /** @type {{ navigation?: EventTarget }} */ (window)
  if (navigation) on("currententrychange", follow, navigation)
  return { ...listenToInput(on, emit, clock), begin, measure, isSettled, follow, stop: () => stop.abort() }
}

/**
 * Trusted input, told at most once a second. The latest moment is never lost: `flush` tells it before any other event.
 * @param {(types: string, handle: (event: any) => void) => void} on
 * @param {(event: MachineEvent) => void} emit
 * @param {() => number} clock
 */
function listenToInput(on, emit, clock) {
  let isQuiet = false
  let toldAt = -EVERY
  let pendingAt = 0
  let touchedAt = -FOLLOWS
  /** @type {number[] | undefined} */
  let position

  const flush = () => {
    if (!pendingAt) return
    toldAt = pendingAt
    pendingAt = 0
    emit({ type: "input", ageMs: clock() - toldAt })
  }
  const count = (/** @type {Event} */ { isTrusted, type }) => {
    if (!isTrusted || isQuiet) return
    const at = clock()
    // A scroll follows what a hand did, and gives no licence to the next one: a page that scrolls itself is nobody's activity.
    if (type !== "scroll") touchedAt = at
    else if (at - touchedAt >= FOLLOWS) return
    if (at - toldAt >= EVERY) flush()
    pendingAt = at
    if (at - toldAt >= EVERY) flush()
  }
  on("pointerdown keydown wheel touchstart touchmove click input scroll", count)
  // Browsers send pointermove without movement when the page changes under a resting mouse.
  on("pointermove", (event) => {
    const { screenX, screenY } = event
    if (position && Math.hypot(screenX - position[0], screenY - position[1]) <= MOVED) return
    if (position) count(event)
    position = [screenX, screenY]
  })
  return { flush, quiet: (/** @type {boolean} */ on) => void (isQuiet = on) }
}
