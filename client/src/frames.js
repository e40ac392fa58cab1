/**
 * Trusted input in same-origin frames is somebody's activity; the page itself sees none of it. Frames that come later, go elsewhere or
 * hold frames of their own are covered, too. Frames of other origins tell nobody anything and are passed over.
 *
 * @import { Session } from "./types.js"
 */

/** Input is told this often. */
const EVERY = 1_000
/** Pixels a pointer must have moved. */
const MOVED = 3
const INPUT = ["pointerdown", "keydown", "wheel", "touchstart", "click", "input", "pointermove"]

/**
 * Counts input in frames as activity until the session is stopped, or what is returned is called.
 * @param {Session} session
 * @returns {() => void}
 */
export function watchFrames(session) {
  let toldAt = -EVERY
  /** @type {number | undefined} */
  let position
  const count = (/** @type {any} */ { type, isTrusted, screenX, screenY }) => {
    if (!isTrusted) return
    if (type === "pointermove") {
      // Browsers send it without movement when the page changes under a resting mouse.
      const next = screenX + screenY * 1e5
      const moved = Math.abs(next - (position ?? next))
      position = next
      if (moved <= MOVED) return
    }
    // Each frame's events count from its own beginning; this page's clock is one for all.
    const now = performance.now()
    if (now - toldAt < EVERY) return
    toldAt = now
    session.activity()
  }
  /** A frame has loaded, is pointed at, or has taken the focus: before it has loaded it may be used already. */
  const find = (/** @type {any} */ event) => {
    const { document = event.currentTarget } = event.currentTarget
    for (const frame of [event.composedPath()[0], document.activeElement]) enter(frame?.contentWindow, "addEventListener")
  }

  /** Whoever listens already does not listen twice. @type {(view: any, change: "addEventListener" | "removeEventListener") => void} */
  const cover = (view, change) => {
    // Of all windows' events this one alone passes the document only.
    view.document[change]("load", find, true)
    for (const type of ["pointerover", "blur"]) view[change](type, find, true)
    for (let i = 0; i < view.length; i++) enter(view[i], change)
  }
  /** @type {typeof cover} */
  const enter = (view, change) => {
    try {
      for (const type of INPUT) view[change](type, count, { capture: true, passive: true })
    } catch {
      // No frame, or one of another origin.
      return
    }
    cover(view, change)
  }
  cover(window, "addEventListener")
  const undo = () => cover(window, "removeEventListener")
  session.onStop(undo)
  return undo
}
