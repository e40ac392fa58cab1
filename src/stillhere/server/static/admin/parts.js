// Small things that several views show: people, pages, badges, bars, endings, figures.

import { el, setText } from "../dom.js"
import { duration, percent } from "../format.js"
import { ENDINGS, address } from "./filters.js"
import { visitorPath } from "./router.js"
import { timeElement } from "./times.js"

/** @typedef {import("../dom.js").Child} Child */
/** @typedef {import("./filters.js").Filter} Filter */

/** Characters that nobody sees, but that turn what stands beside them around. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

/**
 * What a stranger wrote: as text, in its own direction, with nothing unseen in it; and wherever it is too long it breaks.
 * @param {string} text
 * @param {string} [className]
 */
export const foreign = (text, className = "") => el("bdi", { class: `foreign ${className}`.trim() }, seen(text))

/**
 * A stranger’s text without what is unseen in it.
 * @param {string} text
 */
export const seen = text => text.replace(UNSEEN, "\ufffd")

/**
 * An address as a heading, which breaks at its sign where it has to.
 * @param {string} visitor
 */
export function longName(visitor) {
  const [name, ...rest] = seen(visitor).split("@")
  return el("bdi", { class: "foreign" }, name, ...rest.flatMap(part => [el("wbr"), `@${part}`]))
}

/**
 * A word with its definition on hover and focus.
 * @param {string} id of the definition, without its `def-`
 * @param {...Child} words
 */
export const term = (id, ...words) => el("span", { class: "term", tabindex: 0, "aria-describedby": `def-${id}` }, ...words)

/**
 * A link to a visitor's page that keeps the filter.
 * @param {string} visitor
 * @param {Partial<Filter>} [filter]
 * @param {HTMLElement} [name] how it is shown
 */
export function visitorLink(visitor, filter = {}, name = foreign(visitor)) {
  const { visitor: _, ...rest } = filter
  const path = visitorPath(visitor)
  return el("a", { class: "plain", href: path.includes("?") ? path : address(path, rest), title: seen(visitor) }, name)
}

/**
 * A page's title over its path, linked to its numbers.
 * @param {string | null} page
 * @param {string | null} title
 * @param {Partial<Filter>} [filter]
 * @returns {Node[]}
 */
export function pageName(page, title, filter = {}) {
  if (!page) return [el("span", { class: "muted" }, "–")]
  const { visitor: _, ...rest } = filter
  const link = el("a", { class: "plain", href: address("/admin/pages", { ...rest, page }), title: seen(title || page) }, foreign(title || page))
  return title ? [link, el("span", { class: "sub", title: seen(page) }, foreign(page))] : [link]
}

/**
 * A bar that shows how much of a visit was visible, and how much of that active. Its length compares it with the longest one shown.
 * @param {{ openMs: number, visibleMs: number, activeMs: number }} times
 * @param {number} [longest]
 */
export function shareBar({ openMs, visibleMs, activeMs }, longest = openMs) {
  const whole = Math.max(1, openMs)
  const words = `Open ${duration(openMs)}, visible ${duration(visibleMs)}, active ${duration(activeMs)}`
  const part = (/** @type {string} */ className, /** @type {number} */ ms) => sized(el("span", { class: className }), (100 * ms) / whole)
  const bar = el("div", { class: "bar", role: "img", "aria-label": words, title: words }, part("visible", visibleMs), part("active", activeMs))
  bar.style.setProperty("--length", `${Math.max(2, 100 * Math.sqrt(Math.min(1, openMs / Math.max(1, longest))))}%`)
  return bar
}

/**
 * @template {HTMLElement} E
 * @param {E} element
 * @param {number} width per cent
 * @param {number} [left]
 */
export function sized(element, width, left) {
  element.style.width = `${Math.max(0, Math.min(100, width))}%`
  if (left !== undefined) element.style.left = `${Math.max(0, Math.min(100, left))}%`
  return element
}

const WORDS = new Map(ENDINGS)

/** @param {string} endedBy */
export const endingWord = endedBy => WORDS.get(endedBy) ?? endedBy.replaceAll("_", " ")

/**
 * Why a visit ended, with its definition on hover and focus.
 * @param {string} endedBy
 */
export function ending(endedBy) {
  const id = `by-${endedBy}`
  return document.getElementById(`def-${id}`) ? term(id, endingWord(endedBy)) : el("span", {}, endingWord(endedBy))
}

/**
 * What is known of a visit or visitor besides the numbers.
 * @param {{ verified?: boolean, internal?: boolean, excluded?: boolean }} about
 * @returns {HTMLElement[]}
 */
export const badges = ({ verified, internal, excluded }) => [
  ...(verified ? [el("span", { class: "tick term", role: "img", tabindex: 0, "aria-label": "verified", "aria-describedby": "def-verified" })] : []),
  ...(internal ? [mark("internal", "internal", "")] : []),
  ...(excluded ? [mark("excluded", "not counted", "warm")] : []),
]

/**
 * @param {string} id
 * @param {string} word
 * @param {string} tone
 */
const mark = (id, word, tone) => el("span", { class: `badge term ${tone}`.trim(), tabindex: 0, "aria-describedby": `def-${id}` }, word)

/** The badge of who has not left. */
export const stillHere = () => el("span", { class: "badge good" }, el("span", { class: "dot live", "aria-hidden": "true" }), "still here")

/**
 * When and how a visit ended.
 * @param {{ here: boolean, startedAt: string, endedAt: string | null, endedBy: string | null }} visit
 * @returns {Node[]}
 */
export function ended({ here, startedAt, endedAt, endedBy }) {
  if (here) return [stillHere()]
  return [timeElement(endedAt, startedAt), ...(endedBy ? [el("span", { class: "sub" }, ending(endedBy))] : [])]
}

/**
 * A visit's visible time; what may be missing of it is said on hover and focus, unless it is less than a second.
 * @param {{ here: boolean, visibleMs: number, uncertainMs?: number, told?: string }} visit
 */
export function visibleTime({ here, visibleMs, uncertainMs, told }) {
  if (!told) return el("span", {}, duration(visibleMs))
  return el("span", { class: "term quiet", tabindex: 0, "data-tip": told, "aria-label": `${duration(visibleMs)}. ${told}` },
    uncertainMs && uncertainMs >= 1000 && !here ? el("span", { class: "bound", "aria-hidden": "true" }, "~") : null, duration(visibleMs))
}

/**
 * A row of large figures.
 * @param {string} label
 * @param {[id: string, word: string, value: Child, note?: Child][]} figures
 */
export function figures(label, figures) {
  return el("dl", { class: "figures num", "aria-label": label }, ...figures.map(([id, word, value, note]) =>
    el("div", {}, el("dt", {}, term(id, word)), el("dd", {}, value, note ? el("span", { class: "note" }, note) : null))))
}

/**
 * Whether all parts were on screen alike, but for seconds that are cut off: a page that fits into the window, such as a slide.
 * @param {number[]} heat
 * @param {number} sum
 */
function isEven(heat, sum) {
  let told = 0
  return heat.every((ms, n) => Math.abs((told += ms) - (sum * (n + 1)) / heat.length) <= 1000)
}

/**
 * Reading heat as the silhouette of a page: a band for each twentieth of it, stronger and longer where people stayed.
 * @param {number[] | null | undefined} heat
 * @param {{ large?: boolean }} [how]
 */
export function heatStrip(heat, { large = false } = {}) {
  if (!heat?.some(Boolean)) return el("span", { class: "muted" }, "–")
  const most = Math.max(...heat)
  const sum = heat.reduce((a, b) => a + b, 0)
  const top = heat.indexOf(most)
  const even = isEven(heat, sum)
  const words = even ? `On screen as a whole: ${duration(sum)}` : `Read longest from ${percent(top * 5)} to ${percent(top * 5 + 5)} of the page: ${duration(most)} of ${duration(sum)}`
  return el("div", { class: large ? "silhouette large" : "silhouette", role: "img", "aria-label": words, title: words },
    ...heat.map(ms => {
      const line = el("span")
      line.style.setProperty("--heat", `${even ? 100 : Math.round(100 * Math.sqrt(ms / most))}%`)
      return line
    }))
}

/**
 * Something that stands where there is nothing to show.
 * @param {string} title
 * @param {string} words
 * @param {...Child} more
 */
export const blank = (title, words, ...more) => el("div", { class: "blank" }, el("p", { class: "blank-title" }, title), el("p", {}, words), ...more)

/**
 * Grey lines in the place of what is on its way.
 * @param {number} lines
 * @param {string} [kind]
 */
export const skeleton = (lines, kind = "line") => el("div", { class: "skeleton", "aria-hidden": "true" }, ...Array.from({ length: lines }, () => el("span", { class: kind })))

/**
 * A heading with what belongs beside it.
 * @param {string} title
 * @param {...Child} beside
 */
export const sectionHead = (title, ...beside) => el("div", { class: "section-head" }, el("h2", {}, title), ...beside)

/**
 * Says something once to whoever cannot see it, and shows it for a while.
 * @param {string} words
 */
export function announce(words) {
  const place = document.getElementById("said")
  if (!place) return
  setText(place, words)
  place.hidden = false
  clearTimeout(Number(place.dataset.timer))
  place.dataset.timer = String(setTimeout(() => { place.hidden = true }, 5000))
}
