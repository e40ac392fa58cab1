/**
 * What was read, and when: which twentieths of the page were on screen for how long (heat), and when the view was active, idle or hidden
 * (bands). It follows the session's own totals, so heat adds up to visible time, active bands to active time, and active and idle ones
 * together to visible time.
 *
 * @import { Body, Session } from "./types.js"
 */
import { createClock } from "./clock.js"

/** The page is divided into so many parts of equal height. */
const PARTS = 20
/** More bands than these are not told: the shortest joins the one before it. */
const MOST = 64
/** A gap in visible time is hidden time from here on; less is rounding and a slow timer. */
const GAP = 1_000

/** @typedef {["a" | "i" | "h", number]} Run  state and milliseconds */
/** @typedef {{ view: string, visibleMs: number, activeMs: number }} Seen  what a session or a message says of its view */

/** The measure of one page after the other. It knows no page and no clock. */
export function createMeter() {
  let view = ""
  let seenMs = 0
  let activeMs = 0
  let hiddenMs = 0
  let beganAt = 0
  /** @type {number[]} */
  let heat = []
  /** @type {Run[]} */
  let runs = []
  /** The parts in view, first and one after the last. */
  let first = 0
  let end = PARTS

  /**
   * Activity is known when the next input comes: what was idle till then was not.
   * @param {number} ms  so much visible time was active
   * @param {number} afterMs  so long ago
   */
  const paint = (ms, afterMs) => {
    const since = runs.slice(runs.map(([state]) => state).lastIndexOf("a") + 1)
    const idleMs = since.reduce((sum, [state, span]) => sum + (state === "i" ? span : 0), 0)
    let rest = Math.max(0, Math.min(afterMs, idleMs - ms))
    /** @type {Run[]} */
    const painted = []
    for (const [state, span] of since.reverse()) {
      const idle = state === "i" ? Math.min(span, rest) : 0
      const active = state === "i" ? Math.min(span - idle, ms) : 0
      rest -= idle
      ms -= active
      painted.unshift([state, span - idle - active], ["a", active], ["i", idle])
    }
    runs = joined([...runs.slice(0, runs.length - since.length), ...painted])
  }

  return {
    /**
     * Lets time pass: what was on screen until `now` are the parts that were placed last.
     * @param {Seen} seen
     * @param {number} idleMs  since the last input
     * @param {number} now
     */
    pass(seen, idleMs, now) {
      if (seen.view !== view) {
        view = seen.view
        seenMs = activeMs = hiddenMs = 0
        heat = Array(PARTS).fill(0)
        runs = []
      }
      // A view begins when it is first seen.
      if (!seenMs) beganAt = now - seen.visibleMs
      const ms = Math.max(0, seen.visibleMs - seenMs)
      seenMs += ms
      for (let n = first; n < end; n++) heat[n] += ms / (end - first)
      const gap = now - beganAt - seenMs - hiddenMs
      const awayMs = gap < GAP ? 0 : Math.round(gap)
      hiddenMs += awayMs
      runs = joined([...runs, ["i", ms], ["h", awayMs]])
      if (seen.activeMs > activeMs) paint(seen.activeMs - activeMs, idleMs)
      activeMs = seen.activeMs
    },
    /** What is on screen from now on: from and to, as shares of the page's height. @param {number} top @param {number} bottom */
    place(top, bottom) {
      first = Math.min(PARTS - 1, Math.floor(top * PARTS) || 0)
      end = Math.max(first + 1, Math.min(PARTS, Math.ceil(bottom * PARTS) || PARTS))
    },
    /** As it goes over the wire; nothing of what nobody has seen. Seconds are rounded so that their sum is that of the parts. */
    tell() {
      if (!seenMs) return
      let sum = 0
      let told = 0
      const seconds = heat.map((ms) => {
        sum += ms
        const whole = Math.floor(sum / 1000 + 1e-6) - told
        told += whole
        return whole.toString(36)
      })
      return { heat: seconds.join("."), bands: runs.map(([state, ms]) => state + ms.toString(36)).join(".") }
    },
  }
}

/** Neighbours of one state are one run, and of none is nothing told. @param {Run[]} runs @returns {Run[]} */
function joined(runs) {
  /** @type {Run[]} */
  const kept = []
  for (const [state, ms] of runs) {
    const last = kept[kept.length - 1]
    if (last?.[0] === state) last[1] += ms
    else if (ms) kept.push([state, ms])
  }
  if (kept.length <= MOST) return kept
  let n = 1
  kept.forEach(([, ms], i) => {
    if (i && ms < kept[n][1]) n = i
  })
  kept[n][0] = kept[n - 1][0]
  return joined(kept)
}

/**
 * Measures this page until the session is stopped, or what is returned is called.
 * @param {Session} session
 * @param {{ root?: Element }} [options]  what scrolls; default the page itself
 * @returns {() => void}
 */
export function createHeat(session, { root = document.documentElement } = {}) {
  const meter = createMeter()
  const clock = createClock()
  const place = () => {
    const { scrollTop, clientHeight, scrollHeight } = root
    meter.place(scrollTop / scrollHeight, (scrollTop + clientHeight) / scrollHeight)
  }
  const measure = (/** @type {Seen} */ seen) => {
    meter.pass(seen, session.state().idleMs ?? Infinity, clock())
    place()
  }
  const stop = new AbortController()
  const sample = () => measure(session.state())
  for (const type of ["scroll", "resize", "visibilitychange", "load"]) {
    addEventListener(type, sample, { capture: true, passive: true, signal: stop.signal })
  }
  // What loads late makes a page longer.
  const sizes = new ResizeObserver(sample)
  for (const element of [root, ...root.children]) sizes.observe(element)
  const off = session.on("body", (/** @type {Body | null} */ body) => {
    if (!body) return
    measure(body)
    Object.assign(body, meter.tell())
  })
  const undo = () => {
    stop.abort()
    off()
    sizes.disconnect()
  }
  session.onStop(undo)
  place()
  sample()
  return undo
}
