// What a reader does to turn pages: keys, wheel, swipe. A page that is taller than the window scrolls first.

/** So long a wheel rests between two gestures. */
const REST = 250
/** Pixels of a wheel past the edge that turn the page. */
const PUSH = 80
/** Pixels of a swipe. */
const SWIPE = 60

const root = document.documentElement
const isAtEnd = () => root.scrollTop + root.clientHeight >= root.scrollHeight - 2
const isAtStart = () => root.scrollTop <= 2

/**
 * @typedef {object} Turns
 * @property {(by: number) => void} turn
 * @property {(number: number) => void} go
 * @property {(by: number) => void} zoom
 * @property {() => void} fit
 * @property {() => boolean} isWide whether the page is wider than the window, so that arrows and swipes move it
 */

/** @param {Turns} turns */
export function listenToHands({ turn, go, zoom, fit, isWide }) {
  /** @type {Record<string, () => boolean | void>} what a key does; true leaves it to the browser */
  const keys = {
    ArrowRight: () => isWide() || turn(1),
    ArrowLeft: () => isWide() || turn(-1),
    PageDown: () => !isAtEnd() || turn(1),
    PageUp: () => !isAtStart() || turn(-1),
    " ": () => !isAtEnd() || turn(1),
    Home: () => go(1),
    End: () => go(Infinity),
    "+": () => zoom(1),
    "=": () => zoom(1),
    "-": () => zoom(-1),
    0: fit,
  }
  addEventListener("keydown", (event) => {
    const { key, target, ctrlKey, metaKey, altKey, defaultPrevented } = event
    if (ctrlKey || metaKey || altKey || defaultPrevented || !(target instanceof Element) || target.closest("input, textarea, stillhere-dialog")) return
    if (key === " " && target.closest("a, button")) return
    if (Object.hasOwn(keys, key) && keys[key]() !== true) event.preventDefault()
  })

  // A wheel that scrolled to the edge stops there; only a new gesture that begins at the edge turns the page, and only one.
  let gesture = { at: -REST, pushed: 0, turns: false }
  addEventListener("wheel", ({ deltaY, ctrlKey, timeStamp }) => {
    if (ctrlKey) return
    const isNew = timeStamp - gesture.at >= REST
    gesture.at = timeStamp
    if (isNew) Object.assign(gesture, { pushed: 0, turns: deltaY > 0 ? isAtEnd() : isAtStart() })
    gesture.pushed += deltaY
    if (!gesture.turns || Math.abs(gesture.pushed) < PUSH) return
    gesture.turns = false
    turn(Math.sign(gesture.pushed))
  }, { passive: true })

  /** @type {Touch | null} */
  let began = null
  addEventListener("touchstart", ({ touches }) => (began = touches.length === 1 && !isWide() ? touches[0] : null), { passive: true })
  addEventListener("touchend", ({ changedTouches }) => {
    if (!began || getSelection()?.isCollapsed === false) return
    const x = changedTouches[0].clientX - began.clientX
    const y = changedTouches[0].clientY - began.clientY
    began = null
    if (Math.abs(x) >= SWIPE && Math.abs(y) < Math.abs(x) / 2) turn(x < 0 ? 1 : -1)
  }, { passive: true })
}
