// One visit: who, how long, how it ended, and what was on screen when.

import { el, refill } from "../../dom.js"
import { atMost, count, duration } from "../../format.js"
import { act, read, sentence } from "../api.js"
import { bandTable, timeline } from "../charts/bands.js"
import { address } from "../filters.js"
import { announce, badges, blank, ended, figures, foreign, longName, sectionHead, skeleton, visitorLink } from "../parts.js"
import { frame } from "../stage.js"
import { dayOf, dayWords, say } from "../times.js"
import { askToEnd } from "./now.js"

/** @typedef {import("../api.js").Visit} Visit */
/** @typedef {import("../api.js").View} View */
/** @typedef {import("../stage.js").Context} Context */

/**
 * What an operator can do about a visit.
 * @param {Visit} visit
 * @param {Context} context
 */
function actions(visit, { me, refresh }) {
  if (me.role !== "operator") return []
  const exclude = el("button", { type: "button", class: "button slim", onclick: async () => {
    exclude.disabled = true
    try {
      const { excluded } = await act(`visits/${encodeURIComponent(visit.id)}/exclude`, { excluded: !visit.excluded })
      announce(excluded ? "This visit is no longer counted." : "This visit is counted again.")
    } catch (error) {
      announce(`Not changed. ${sentence(error)}`)
    }
    exclude.disabled = false
    refresh()
  } }, visit.excluded ? "Count it again" : "Don’t count it")
  return [exclude, visit.here ? el("button", { type: "button", class: "button slim danger", onclick: () => askToEnd(visit, refresh) }, "End session") : null]
}

/**
 * Who that was and when, and all of it in a sentence.
 * @param {Visit} visit
 * @param {Context} context
 */
function heading(visit, { filter }) {
  return [
    el("p", { class: "eyebrow" }, el("a", { href: address("/admin/visits", { zone: filter.zone }) }, "Visits"), ` · ${dayWords(dayOf(visit.startedAt))}`),
    el("h1", { tabindex: -1 }, visitorLink(visit.visitor, { zone: filter.zone }, longName(visit.visitor))),
    el("p", { class: "lede muted num visit-facts" }, `${say("clock", visit.startedAt)} to `, ...ended(visit), visit.device ? foreign(visit.device) : null, ...badges(visit)),
    visit.told ? el("p", { class: "told" }, visit.told) : null,
  ]
}

/** @param {Visit} visit */
function about(visit) {
  return [
    figures("This visit in numbers", [
      ["open", "Open", duration(visit.openMs)],
      ["visible", "Visible", duration(visit.visibleMs)],
      ["active", "Active", duration(visit.activeMs)],
      ["views", "Views", count(visit.views)],
      ["uncertain", "May be missing", atMost(visit.uncertainMs)],
    ]),
  ]
}

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const { place, signal } = context
  const head = el("div", { class: "part" }, skeleton(1, "figures"))
  const lines = el("div", {}, skeleton(6))
  const tools = el("div", { class: "row" })
  const element = frame("Visit", { className: "visit-view", beside: [tools], lede: "\u00a0" },
    head, el("section", {}, sectionHead("What was on screen"), lines))
  const title = element.querySelector(".view-head > div")
  let shown = /** @type {Visit | null} */ (null)
  const load = async () => {
    const { visit, views } = /** @type {{ visit: Visit, views: View[] }} */ (await read(`visits/${encodeURIComponent(place.id)}`, { zone: context.asked.get("zone") ?? "UTC" }, signal))
    shown = visit
    refill(tools, ...actions(visit, context))
    if (title) refill(title, ...heading(visit, context))
    refill(head, ...about(visit))
    refill(lines, ...(views.length ? [timeline(visit, views, Date.now()), ...(views.some(view => view.bands?.length) ? [bandTable(views)] : [])] : [blank("Nothing was seen", "No page of this visit was on screen.")]))
  }
  let rounds = 0
  return {
    title: "Visit",
    element,
    load,
    onVisits(visits) { if (visits?.some(visit => visit.id === place.id)) void load().catch(() => {}) },
    // Who is still here is shown longer as time goes by; whoever is reading the lines by keyboard is left in peace.
    tick() { if (shown?.here && ++rounds % 10 === 0 && ![tools, lines].some(part => part.contains(document.activeElement))) void load().catch(() => {}) },
  }
}
