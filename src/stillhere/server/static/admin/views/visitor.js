// One visitor: totals, time on each page beside everybody's, and every visit.

import { el, refill } from "../../dom.js"
import { count, duration } from "../../format.js"
import { read } from "../api.js"
import { Chart } from "../charts/plot.js"
import { averagePicture } from "../charts/spread.js"
import { exportButton } from "../export.js"
import { address, wayOut } from "../filters.js"
import { badges, blank, figures, longName, sectionHead, seen, skeleton, stillHere } from "../parts.js"
import { frame } from "../stage.js"
import { dayElement } from "../times.js"
import { SLOWLY_MS, follow, visitPages } from "./visits.js"

/** @typedef {import("../api.js").Page} Page */
/** @typedef {import("../stage.js").Context} Context */

/** Pages that are shown beside the average. */
const PAGES = "12"
/** As many pages as one answer can hold. */
const MOST = "200"

/**
 * How long the average visitor of each page was there. One question answers it, but where there are more pages than a list holds.
 * @param {Page[]} own
 * @param {Pick<Context, "asked" | "signal">} context
 */
export async function averages(own, { asked, signal }) {
  const inAll = async (/** @type {Record<string, string>} */ more) =>
    /** @type {{ pages: Page[] }} */ (await read("pages", new URLSearchParams({ ...Object.fromEntries(asked), ...more }), signal)).pages
  const most = await inAll({ limit: MOST })
  const named = new Set(most.map(page => page.page))
  const rest = await Promise.all(own.filter(({ page }) => !named.has(page)).map(({ page }) => inAll({ page, limit: "1" })))
  const wanted = new Set(own.map(page => page.page))
  return new Map([...most, ...rest.flat()].filter(({ page, visitors }) => wanted.has(page) && visitors).map(({ page, visible, visitors }) => [page, (visible.sum ?? 0) / visitors]))
}

/**
 * Time on each page, beside the average visitor.
 * @param {Context} context
 * @param {URLSearchParams} asked the filter, and this visitor
 */
function besideOthers(context, asked) {
  const element = el("div", {}, skeleton(5))
  const chart = new Chart()
  const key = el("p", { class: "key small muted", "aria-hidden": "true" }, el("span", { class: "swatch visible" }), "this visitor ", el("span", { class: "swatch before" }), "the average visitor of that page")
  const picture = el("div", {}, chart.element, key)
  const load = async () => {
    const query = new URLSearchParams(asked)
    query.set("limit", PAGES)
    const found = /** @type {Page[]} */ ((await read("pages", query, context.signal)).pages).sort((a, b) => (b.visible.sum ?? 0) - (a.visible.sum ?? 0))
    if (found.length) chart.show(averagePicture(found, await averages(found, context)))
    refill(element, found.length ? picture : blank("No page", wayOut(context.filter, "No page was seen.")))
  }
  return { element, load }
}

/**
 * Totals of a visitor, and what else is known of them.
 * @param {Context} context
 * @param {URLSearchParams} asked the filter, and this visitor
 */
function inNumbers({ place: { id: visitor }, signal, now }, asked) {
  const element = el("div", { class: "numbers" }, skeleton(1, "figures"))
  const marks = el("span", { class: "row" })
  const load = async () => {
    const one = new URLSearchParams(asked)
    one.set("limit", "1")
    const [sums, { visitors }] = await Promise.all([read("totals", asked, signal), read("visitors", one, signal)])
    const about = visitors.find((/** @type {import("../api.js").Visitor} */ found) => found.visitor === visitor)
    const here = now()?.here.some(person => person.visitor === visitor && person.present)
    refill(marks, ...(here ? [stillHere()] : []), ...badges(about ?? {}))
    refill(element, figures(`${seen(visitor)} in numbers`, [
      ["visits-of", "Visits", count(sums.visits)],
      ["visible", "Visible", duration(sums.visibleMs)],
      ["active", "Active", duration(sums.activeMs)],
      ["median-of", "Median visit", sums.visits ? duration(sums.visible.median) : "–"],
      ["first-last", "First and last", el("span", { class: "pair" }, dayElement(about?.firstAt), dayElement(about?.lastAt))],
    ]))
  }
  return { element, marks, load }
}

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const { place, filter } = context
  const visitor = place.id
  const asked = new URLSearchParams(context.asked)
  asked.set("visitor", visitor)
  const own = { ...context, asked }
  const totals = inNumbers(context, asked)
  const beside = besideOthers(context, asked)
  const list = visitPages(own, { withVisitor: false })
  const element = frame(seen(visitor), { className: "visitor-view", beside: [exportButton({ ...own, filter: { ...filter, visitor } }, "visits")], lede: el("span", { class: "visit-facts" }, el("a", { href: address("/admin/visitors", filter) }, "All visitors"), totals.marks) },
    totals.element,
    el("section", {}, sectionHead("Time on each page, beside the average visitor"), beside.element),
    el("section", {}, sectionHead("Visits"), list.element))
  element.querySelector("h1")?.replaceChildren(longName(visitor))

  const following = follow(list, { also: () => void totals.load().catch(() => {}) })
  const slowly = follow({ load: async () => { await Promise.all([totals.load(), beside.load()]) } }, { pause: SLOWLY_MS })
  return {
    title: seen(visitor),
    element,
    load: async () => { await Promise.all([totals.load(), beside.load(), list.load()]) },
    onVisits(visits) {
      const theirs = visits?.filter(visit => visit.visitor === visitor) ?? null
      if (theirs && !theirs.length) return
      following.onVisits(theirs)
      slowly.onVisits(theirs)
    },
    leave() {
      following.leave()
      slowly.leave()
    },
  }
}
