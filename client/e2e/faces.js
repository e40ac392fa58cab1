/**
 * A page that shows the dialog and the toast when it is told to, with a clock that the test moves.
 */
import { createDialog } from "../src/dialog.js"

const real = performance.now.bind(performance)
let ahead = 0
/** Since when the clock stands. @type {number | undefined} */
let stoodAt
performance.now = () => (stoodAt ?? real()) + ahead

const faces = {
  /** @type {string[]} */
  said: [],
  left: 0,
  /** @type {import("../src/types.js").UI | undefined} */
  ui: undefined,
  /** @param {import("../src/types.js").Options} [options] */
  create(options) {
    faces.ui = createDialog((type) => faces.said.push(type), options)
  },
  warn: (/** @type {number} */ expiresInMs, canExtend = true, failures = 0) =>
    faces.ui?.warn(/** @type {any} */ ({ expiresInMs, canExtend, failures })),
  notice: (/** @type {any} */ over, isUnsaved = false) => faces.ui?.notice(over, () => faces.left++, isUnsaved),
  /** From now on only `pass` lets time pass: what is read is not moved by how long reading takes. */
  still() {
    stoodAt ??= Math.round(real())
  },
  /** Lets time pass, as far as the dialog can see. @param {number} ms */
  pass(ms) {
    ahead += ms
    dispatchEvent(new Event("focus"))
  },
  /** What is announced in so many seconds, in order, each once. @param {number} seconds */
  listen(seconds) {
    const heard = [faces.text("#spoken")]
    for (let n = 0; n < seconds; n++) {
      faces.pass(1_000)
      if (heard[heard.length - 1] !== faces.text("#spoken")) heard.push(faces.text("#spoken"))
    }
    return heard
  },
  root: () => document.querySelector("stillhere-dialog")?.shadowRoot,
  text: (/** @type {string} */ selector) => faces.root()?.querySelector(selector)?.textContent,
}
Object.assign(window, { faces })
