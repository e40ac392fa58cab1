// The page in front of the lab: counts down and closes itself.

import { byId, setText } from "./dom.js"

const SECONDS = 10
const arc = byIdSvg("cover-arc")
const number = byIdSvg("cover-count")
const status = byId("cover-status")
const started = performance.now()

/** @param {string} id */
function byIdSvg(id) {
  return /** @type {SVGElement} */ (/** @type {unknown} */ (byId(id)))
}

/** A tab that a script may not close becomes the lab instead. */
function leave() {
  clearInterval(timer)
  window.close()
  setTimeout(() => location.assign("/lab"), 250)
}

const timer = setInterval(() => {
  const left = SECONDS - (performance.now() - started) / 1000
  arc.setAttribute("stroke-dasharray", `${Math.max(0, (100 * left) / SECONDS)} 100`)
  setText(number, Math.max(0, Math.ceil(left)))
  if (left <= 0) leave()
}, 100)

byId("cover-close").addEventListener("click", leave)
byId("cover-stay").addEventListener("click", event => {
  clearInterval(timer)
  if (event.currentTarget instanceof HTMLElement) event.currentTarget.hidden = true
  arc.setAttribute("stroke-dasharray", "0 100")
  setText(number, "∞")
  setText(status, "The countdown has stopped. Stay as long as you like; the lab’s idle clock runs on meanwhile.")
})
