/**
 * What happens in the page, as events for the machine. One listener for each thing, all on the window, which every event of the
 * document passes first; capture, passive, gone after stop(). Never `unload` or `beforeunload`: they shut the page out
 * of the back/forward cache.
 *
 * @import { Event as MachineEvent } from "./types.js"
 */
import { randomId } from "./tabs.js"

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
 */
export function listen(emit, clock) {
  const stop = new AbortController()
  const on = (/** @type {string} */ types, /** @type {(event: any) => void} */ handle) => {
    for (const type of types.split(" ")) addEventListener(type, handle, { capture: true, passive: true, signal: stop.signal })
  }
  // Between pagehide and pageshow the browser tells of showing, too; that story is `restored`.
  let cached = false
  // A page that is rendered ahead is hidden, too.
  const begin = () => cached || emit({ type: document.hidden ? "hidden" : "visible", view: randomId() })

  on("visibilitychange prerenderingchange", begin)
  // A frozen page comes back hidden: nothing to say, but timers were lost, and the deadline may have passed.
  on("focus resume", () => emit({ type: "timer" }))
  on("freeze online", ({ type }) => emit({ type }))
  on("pagehide", ({ persisted }) => {
    emit({ type: "pagehide" })
    cached = persisted
  })
  on("pageshow", ({ persisted }) => {
    if (!persisted) return
    cached = false
    deepest = 0
    emit({ type: "restored", view: randomId(), visible: !document.hidden })
  })
  let deepest = 0
  /** A page that has just changed without loading still has the old one's title and height. */
  let settledAt = 0
  /** How deep the page was seen; nothing while it is not itself yet. */
  const depthPct = () => {
    if (clock() < settledAt) return
    const { scrollTop, clientHeight, scrollHeight } = document.documentElement
    return (deepest = Math.max(deepest, Math.min(100, Math.round(((scrollTop + clientHeight) / scrollHeight) * 100)) || 0))
  }
  on("scroll", depthPct)
  // Another path is another page, however the application got there; a changed query or fragment is not. Where the browser does not tell of
  // `pushState`, it is seen at the next event.
  let path = location.pathname
  const follow = () => {
    if (path === location.pathname) return
    path = location.pathname
    settledAt = clock() + SETTLES
    const scrollPct = deepest
    deepest = 0
    emit({ type: "navigated", view: randomId(), scrollPct })
  }
  on("popstate", follow)
  const { navigation } = /** @type {{ navigation?: EventTarget }} */ (window)
  navigation?.addEventListener("currententrychange", follow, stop)
  return { ...listenToInput(on, emit, clock), begin, depthPct, follow, stop: () => stop.abort() }
}

/**
 * Trusted input, told at most once a second. The latest moment is never lost: `flushInput` tells it before any other event.
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

  const flushInput = () => {
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
    if (at - toldAt >= EVERY) flushInput()
    pendingAt = at
    if (at - toldAt >= EVERY) flushInput()
  }
  on("pointerdown keydown wheel touchstart touchmove click input scroll", count)
  // Browsers send pointermove without movement when the page changes under a resting mouse.
  on("pointermove", (event) => {
    const { screenX, screenY } = event
    if (position && Math.hypot(screenX - position[0], screenY - position[1]) <= MOVED) return
    if (position) count(event)
    position = [screenX, screenY]
  })
  return { flushInput, quiet: (/** @type {boolean} */ on) => void (isQuiet = on) }
}
