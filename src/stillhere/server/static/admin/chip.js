// The chip at the top: how fresh is what is shown.

import { byId, setText } from "../dom.js"

/** @typedef {import("./live.js").Health} Health */

const WORDS = /** @type {const} */ ({
  live: ["dot live", "Live", "Changes appear by themselves."],
  asking: ["dot", "Every 4 s", "No stream gets through, so the server is asked every few seconds."],
  trouble: ["dot warm", "Reconnecting…", "What you see may be out of date."],
  paused: ["dot off", "Paused", "Nothing is asked while this page is not on screen."],
})

let health = /** @type {Health | null} */ (null)
let troubled = false

function show() {
  // Nothing is live as long as a notice says that something could not be had.
  const shown = troubled && health !== "paused" ? "trouble" : health
  if (!shown) return
  const [dot, word, title] = WORDS[shown]
  byId("live-dot").className = dot
  setText(byId("live-word"), word)
  byId("live").title = title
  document.body.dataset.live = shown
}

/** @param {Health} now how the live channel is */
export function showHealth(now) {
  health = now
  show()
}

/** @param {boolean} now whether a notice says that there is trouble */
export function showTrouble(now) {
  troubled = now
  show()
}
