// Small things several tables show: cells, bars, people, endings.

import { el, setText } from "./dom.js"
import { duration, timeElement } from "./format.js"

/**
 * A table cell. The label heads it where the table becomes cards on a narrow screen.
 * @param {string} className
 * @param {string} label
 * @param {...import("./dom.js").Child} children
 */
export const cell = (className, label, ...children) => el("td", { role: "cell", class: className, "data-label": label || null }, ...children)

/** A bar that shows how much of a visit was visible, and how much of that active. */
export function shareBar() {
  const visible = el("span", { class: "visible" })
  const active = el("span")
  const element = el("div", { class: "bar", role: "img" }, visible, active)
  return {
    element,
    /** @param {{ openMs: number, visibleMs: number, activeMs: number }} times */
    update({ openMs, visibleMs, activeMs }) {
      const whole = Math.max(1, openMs)
      visible.style.width = `${Math.min(100, (100 * visibleMs) / whole)}%`
      active.style.width = `${Math.min(100, (100 * activeMs) / whole)}%`
      const words = `Open ${duration(openMs)}, visible ${duration(visibleMs)}, active ${duration(activeMs)}`
      if (element.title === words) return
      element.title = words
      element.setAttribute("aria-label", words)
    },
  }
}

const ENDINGS = /** @type {Record<string, string>} */ ({
  leave: "left", idle: "idle", absolute: "time limit", signed_out: "signed out", revoked: "revoked", replaced: "replaced", lost: "lost", away: "away",
  token_reuse: "token reuse", provider: "provider",
})

/** @param {string} endedBy */
export const endingWord = endedBy => ENDINGS[endedBy] ?? endedBy.replaceAll("_", " ")

/**
 * Why a visit ended, with its definition on hover and focus.
 * @param {string} endedBy
 */
export function ending(endedBy) {
  const word = endingWord(endedBy)
  const id = `def-by-${endedBy}`
  if (!document.getElementById(id)) return el("span", {}, word)
  return el("span", { class: "term", tabindex: 0, "aria-describedby": id }, word)
}

/**
 * Puts a new `<time>` into `host`, but only when the instant changed.
 * @param {HTMLElement} host
 * @param {string | null} iso
 */
export function showTime(host, iso) {
  if (host.dataset.at === (iso ?? "")) return
  host.dataset.at = iso ?? ""
  host.replaceChildren(timeElement(iso))
}

/**
 * Shows what stands in for rows: nothing, a loading bar, an explanation.
 * @param {HTMLElement} body the tbody that stands in
 * @param {string | null} words null when there are rows
 */
export function standIn(body, words) {
  body.hidden = words === null
  const box = body.querySelector("td")
  if (!box || words === null) return
  box.classList.remove("loading")
  setText(box, words)
}
