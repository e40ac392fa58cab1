// A visit as it went: each view on a line of its own, along one axis of time.

import { el } from "../../dom.js"
import { duration, percent } from "../../format.js"
import { heatStrip, pageName, sized } from "../parts.js"
import { say } from "../times.js"

/** @typedef {import("../api.js").View} View */
/** @typedef {import("../api.js").Visit} Visit */
/** @typedef {import("../api.js").Band} Band */

const WORDS = /** @type {const} */ ({ active: "active", idle: "visible, idle", hidden: "hidden" })
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400].map(seconds => seconds * 1000)

/** Bands of a view; one that was not told how it went is one band, of which nothing is known. @param {View} view */
const bandsOf = view => view.bands?.length ? view.bands : null

/** @param {Band} band */
const spanOf = band => Date.parse(band.to) - Date.parse(band.from)

/** @param {Band[]} bands */
function sums(bands) {
  const sum = { active: 0, idle: 0, hidden: 0 }
  for (const band of bands) sum[band.state] += spanOf(band)
  return sum
}

/** Marks at round times. @param {number} begin @param {number} end */
function axis(begin, end) {
  const step = STEPS.find(one => (end - begin) / one <= 6) ?? STEPS[STEPS.length - 1]
  const marks = []
  for (let at = Math.ceil(begin / step) * step; at < end - (end - begin) * 0.12; at += step) marks.push(at)
  const words = (/** @type {number} */ at) => say(step < 60_000 ? "seconds" : end - begin > 86_400_000 ? "weekday" : "clock", new Date(at))
  return el("div", { class: "axis", "aria-hidden": "true" }, ...marks.map(at => sized(el("span", {}, words(at)), 0, (100 * (at - begin)) / (end - begin))))
}

/**
 * @param {View} view
 * @param {number} begin
 * @param {number} end
 */
function line(view, begin, end) {
  const whole = Math.max(1, end - begin)
  const bands = bandsOf(view)
  const place = (/** @type {string} */ className, /** @type {number} */ from, /** @type {number} */ to, /** @type {string} */ title) =>
    sized(el("span", { class: `band ${className}`, title }), (100 * (to - from)) / whole, (100 * (from - begin)) / whole)
  const opened = Date.parse(view.openedAt)
  const parts = bands
    ? bands.map(band => place(band.state, Date.parse(band.from), Date.parse(band.to), `${WORDS[band.state]} for ${duration(spanOf(band))}, from ${say("seconds", band.from)}`))
    : [place("unknown", opened, Math.max(opened, Date.parse(view.lastSeenAt)), `open; visible ${duration(view.visibleMs)}, when is not known`)]
  const told = bands ? sums(bands) : null
  const words = told ? `Active ${duration(told.active)}, visible and idle ${duration(told.idle)}, hidden ${duration(told.hidden)}`
    : `Visible ${duration(view.visibleMs)}, active ${duration(view.activeMs)}; when is not known`
  return el("div", { class: "track", role: "img", "aria-label": words }, ...parts)
}

/** What the bands mean. */
const key = () => el("p", { class: "key small muted" }, ...Object.entries(WORDS).flatMap(([state, words]) => [el("span", { class: `swatch band ${state}`, "aria-hidden": "true" }), `${words} `]))

/**
 * Views one under the other, in order, with what each was at every moment.
 * @param {Visit} visit
 * @param {View[]} views
 * @param {number} now
 */
export function timeline(visit, views, now) {
  const begin = Math.min(Date.parse(visit.startedAt), ...views.map(view => Date.parse(view.openedAt)))
  const end = Math.max(begin + 1000, visit.here ? now : 0, Date.parse(visit.endedAt ?? "") || 0, ...views.map(view => Date.parse(view.lastSeenAt)))
  const tabs = [...new Set(views.map(view => view.tab))]
  return el("div", { class: "timeline" }, key(), el("div", { class: "tracks" },
    axis(begin, end),
    ...views.map((view, i) => el("div", { class: "track-row" },
      el("div", { class: "track-head" },
        el("span", { class: "order", "aria-hidden": "true" }, i + 1),
        el("div", { class: "cut" }, ...pageName(view.page, view.title)),
        heatStrip(view.heat)),
      line(view, begin, end),
      el("p", { class: "track-foot small muted num" }, [
        `opened ${say("seconds", view.openedAt)}`, `visible ${duration(view.visibleMs)}`, `active ${duration(view.activeMs)}`,
        view.scrollPct === null ? "" : `scrolled to ${percent(view.scrollPct)}`, tabs.length > 1 ? `tab ${tabs.indexOf(view.tab) + 1}` : "",
      ].filter(Boolean).join(" · "))))))
}

/** The same as a table. @param {View[]} views */
export function bandTable(views) {
  const rows = views.flatMap((view, i) => (bandsOf(view) ?? []).map(band =>
    el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, `${i + 1}. ${view.title || view.page}`)), el("td", {}, WORDS[band.state]), el("td", { class: "right" }, say("seconds", band.from)), el("td", { class: "right" }, duration(spanOf(band))))))
  return el("details", { class: "as-table no-print" }, el("summary", {}, "As a table"),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The visit as a table" }, el("table", { class: "numbers-table num" },
      el("caption", { class: "visually-hidden" }, "When each page was active, idle or hidden"),
      el("thead", {}, el("tr", {}, ...["Page", "What", "From", "For"].map((word, i) => el("th", { scope: "col", class: i > 1 ? "right" : null }, word)))),
      el("tbody", {}, ...rows))))
}
