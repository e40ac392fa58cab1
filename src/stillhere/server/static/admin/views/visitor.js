// One visitor: totals, time on each page beside everybody's, and every visit.

import { el } from "../../dom.js"
import { count, duration } from "../../format.js"
import { read } from "../api.js"
import { besideAverage } from "../charts/spread.js"
import { exportButton } from "../export.js"
import { address } from "../filters.js"
import { badges, blank, figures, longName, sectionHead, seen, skeleton, stillHere } from "../parts.js"
import { frame } from "../stage.js"
import { dayElement } from "../times.js"
import { follow, visitPages } from "./visits.js"

/** @typedef {import("../api.js").Page} Page */
/** @typedef {import("../stage.js").Context} Context */

/** Pages that are shown beside the average. */
const PAGES = "12"

/**
 * How long the average visitor of each page was there.
 * @param {Page[]} own
 * @param {Context} context
 */
async function averages(own, { asked, signal }) {
  const all = new URLSearchParams(asked)
  all.set("limit", "200")
  const { pages } = /** @type {{ pages: Page[] }} */ (await read("pages", all, signal))
  const wanted = new Set(own.map(page => page.page))
  return new Map(pages.filter(page => wanted.has(page.page) && page.visitors).map(page => [page.page, (page.visible.sum ?? 0) / page.visitors]))
}

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const { place, filter, signal } = context
  const visitor = place.id
  const asked = new URLSearchParams(context.asked)
  asked.set("visitor", visitor)
  const own = { ...context, asked }
  const numbers = el("div", { class: "numbers" }, skeleton(1, "figures"))
  const beside = el("div", {}, skeleton(5))
  const marks = el("span", { class: "row" })
  const list = visitPages(own, { withVisitor: false })
  const element = frame(seen(visitor), { className: "visitor-view", beside: [exportButton({ ...own, filter: { ...filter, visitor } }, "visits")], lede: el("span", { class: "visit-facts" }, el("a", { href: address("/admin/visitors", filter) }, "All visitors"), marks) },
    numbers,
    el("section", {}, sectionHead("Time on each page, beside the average visitor"), beside),
    el("section", {}, sectionHead("Visits"), list.element))
  element.querySelector("h1")?.replaceChildren(longName(visitor))

  const totals = async () => {
    const one = new URLSearchParams(asked)
    one.set("limit", "1")
    const [sums, { visitors }] = await Promise.all([read("totals", asked, signal), read("visitors", one, signal)])
    const about = visitors.find((/** @type {import("../api.js").Visitor} */ found) => found.visitor === visitor)
    const here = context.now()?.here.some(person => person.visitor === visitor && person.present)
    marks.replaceChildren(...(here ? [stillHere()] : []), ...badges(about ?? {}))
    numbers.replaceChildren(figures(`${seen(visitor)} in numbers`, [
      ["visits-of", "Visits", count(sums.visits)],
      ["visible", "Visible", duration(sums.visibleMs)],
      ["active", "Active", duration(sums.activeMs)],
      ["median-of", "Median visit", sums.visits ? duration(sums.visible.median) : "–"],
      ["first-last", "First and last", el("span", { class: "pair" }, dayElement(about?.firstAt), dayElement(about?.lastAt))],
    ]))
  }
  const pages = async () => {
    const query = new URLSearchParams(asked)
    query.set("limit", PAGES)
    const found = /** @type {Page[]} */ ((await read("pages", query, signal)).pages).sort((a, b) => (b.visible.sum ?? 0) - (a.visible.sum ?? 0))
    const average = found.length ? await averages(found, context) : new Map()
    beside.replaceChildren(found.length
      ? el("div", {}, besideAverage(found, average), el("p", { class: "key small muted", "aria-hidden": "true" }, el("span", { class: "swatch visible" }), "this visitor ", el("span", { class: "swatch before" }), "the average visitor of that page"))
      : blank("No page", "No page was seen in this period."))
  }
  const load = async () => { await Promise.all([totals(), pages(), list.load()]) }
  const following = follow(list, () => void totals().catch(() => {}))
  return {
    title: seen(visitor),
    element,
    load,
    onVisits: visits => { if (!visits || visits.some(visit => visit.visitor === visitor)) following.onVisits(visits?.filter(visit => visit.visitor === visitor) ?? null) },
    leave: following.leave,
  }
}
