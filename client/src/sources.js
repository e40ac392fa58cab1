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
/** Pixels a pointer must have moved. */
const MOVED = 3

/**
 * @param {(event: MachineEvent, at?: number) => void} emit
 * @param {() => number} clock
 * @param {() => string} newView
 */
export function listen(emit, clock, newView) {
  const stop = new AbortController()
  const on = (/** @type {string} */ types, /** @type {(event: any) => void} */ handle) => {
    for (const type of types.split(" ")) addEventListener(type, handle, { capture: true, passive: true, signal: stop.signal })
  }
  const isVisible = () => document.visibilityState === "visible" && !(/** @type {any} */ (document).prerendering)
  // Between pagehide and pageshow the browser tells of showing, too; that story is `restored`.
  let cached = false
  const begin = () => cached || emit(isVisible() ? { type: "visible", view: newView() } : { type: "hidden" })

  on("visibilitychange prerenderingchange", begin)
  // A frozen page comes back hidden: nothing to say, but timers were lost, and the deadline may have passed.
  on("focus resume", () => emit({ type: "timer" }))
  on("online", () => emit({ type: "online" }))
  on("pagehide", ({ persisted }) => {
    emit({ type: "pagehide" })
    cached = persisted
  })
  on("pageshow", ({ persisted }) => {
    if (!persisted) return
    cached = false
    scroll.deepest = 0
    emit({ type: "restored", view: newView(), visible: isVisible() })
  })
  const scroll = { deepest: 0 }
  const measure = () => {
    const { scrollTop, clientHeight, scrollHeight } = document.documentElement
    return (scroll.deepest = Math.max(scroll.deepest, Math.min(100, Math.round(((scrollTop + clientHeight) / scrollHeight) * 100)) || 0))
  }
  on("scroll", measure)
  return { ...listenToInput(on, emit, clock), begin, measure, stop: () => stop.abort() }
}

/**
 * Trusted input, told at most once a second. The latest moment is never lost: `flush` tells it before any other event.
 * @param {(types: string, handle: (event: any) => void) => void} on
 * @param {(event: MachineEvent, at?: number) => void} emit
 * @param {() => number} clock
 */
function listenToInput(on, emit, clock) {
  let isQuiet = false
  let toldAt = 0
  let pendingAt = 0
  let touchedAt = 0
  /** @type {number | undefined} */
  let position

  const flush = () => {
    if (!pendingAt) return
    toldAt = pendingAt
    pendingAt = 0
    emit({ type: "input" }, toldAt)
  }
  const count = (/** @type {Event} */ { isTrusted }) => {
    if (!isTrusted || isQuiet) return
    touchedAt = clock()
    if (touchedAt - toldAt >= EVERY) flush()
    pendingAt = touchedAt
    if (touchedAt - toldAt >= EVERY) flush()
  }
  on("pointerdown keydown wheel touchstart click input", count)
  // Browsers send pointermove without movement when the page changes under a resting mouse.
  on("pointermove", (event) => {
    const next = event.screenX + event.screenY * 1e5
    if (Math.abs(next - (position ?? next)) > MOVED) count(event)
    position = next
  })
  // A page that scrolls itself is nobody's activity.
  on("scroll", (event) => clock() - touchedAt < FOLLOWS && count(event))
  return { flush, quiet: (/** @type {boolean} */ on) => void (isQuiet = on) }
}
