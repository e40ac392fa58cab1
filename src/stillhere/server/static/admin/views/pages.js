// The pages: how long they are looked at, how far down, and where on them people stay.

import { el, refill } from "../../dom.js"
import { count, duration, percent } from "../../format.js"
import { read } from "../api.js"
import { Chart } from "../charts/plot.js"
import { quartilePicture } from "../charts/spread.js"
import { exportButton } from "../export.js"
import { address, wayOut } from "../filters.js"
import { figures, foreign, heatStrip, pageName, sectionHead, skeleton, term } from "../parts.js"
import { Pages } from "../sheet.js"
import { frame } from "../stage.js"
import { SLOWLY_MS, follow, visitPages } from "./visits.js"

/** @typedef {import("../api.js").Page} Page */
/** @typedef {import("../api.js").Quartiles} Quartiles */
/** @typedef {import("../stage.js").Context} Context */

/**
 * A median over its middle half.
 * @param {Quartiles} quartiles
 * @param {(value: number | null) => string} show
 */
const middle = ({ q1, median, q3 }, show) => [show(median), el("span", { class: "sub" }, q1 === null ? "" : `${show(q1)} – ${show(q3)}`)]

/**
 * @param {Context} context
 * @returns {import("../sheet.js").Plan<Page>}
 */
const plan = ({ filter }) => ({
  label: "Pages",
  className: "pages-table",
  key: page => page.page,
  empty: ["No page", wayOut(filter, "The first one appears here when somebody reads it.")],
  columns: [
    { label: "Page", className: "cut", bare: true, show: page => pageName(page.page, page.title, filter) },
    { label: "Views", head: term("views", "Views"), className: "right", show: page => count(page.views) },
    { label: "Visitors", className: "right", show: page => count(page.visitors) },
    { label: "Visible", head: term("quartiles", "Visible"), className: "right", show: page => middle(page.visible, duration) },
    { label: "Active", head: term("active", "Active"), className: "right", show: page => middle(page.active, duration) },
    { label: "In all", className: "right", show: page => duration(page.visible.sum) },
    { label: "Scrolled to", head: term("scroll", "Scrolled to"), className: "right", show: page => middle(page.scroll, percent) },
    { label: "Read where", head: term("heat", "Read where"), className: "heat-cell", show: page => heatStrip(page.heat) },
  ],
})

/**
 * One page that the filter chose: its silhouette beside its numbers.
 * @param {Page} page
 */
const portrait = page => el("section", { class: "portrait" },
  el("div", { class: "portrait-page" }, heatStrip(page.heat, { large: true }), el("p", { class: "small muted" }, page.heat ? "From the page’s top to its end: stronger where it was on screen longer." : "Where it was read is not known.")),
  el("div", { class: "portrait-about" },
    el("p", { class: "portrait-title" }, foreign(page.title || page.page)), page.title ? el("p", { class: "muted small" }, foreign(page.page)) : null,
    figures("This page in numbers", [
      ["views", "Views", count(page.views)],
      ["visitors-of", "Visitors", count(page.visitors)],
      ["quartiles", "Visible", duration(page.visible.median), page.visible.q1 === null ? null : `${duration(page.visible.q1)} – ${duration(page.visible.q3)}`],
      ["active", "Active", duration(page.active.median), page.active.q1 === null ? null : `${duration(page.active.q1)} – ${duration(page.active.q3)}`],
      ["scroll", "Scrolled to", percent(page.scroll.median), page.scroll.q1 === null ? null : `${percent(page.scroll.q1)} – ${percent(page.scroll.q3)}`],
    ])))

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const { filter, signal } = context
  const picture = el("div", {}, skeleton(6))
  const pages = new Pages(plan(context), async before => {
    const asked = new URLSearchParams(context.asked)
    asked.set("limit", "50")
    if (before) asked.set("before", before)
    const { pages: found, next } = await read("pages", asked, signal)
    return { items: found, next: next ?? null }
  }, "Show more pages")
  const one = Boolean(filter.page)
  const visits = one ? visitPages(context) : null
  const chart = new Chart()
  const load = async () => {
    await Promise.all([pages.load(), visits?.load()])
    const found = pages.sheet.items
    const chosen = found.find(page => page.page === filter.page) ?? found[0]
    if (one) refill(picture, chosen ? portrait(chosen) : pages.sheet.none)
    else refill(picture, found.length > 0 && chart.show(quartilePicture(found)))
  }
  return {
    title: "Pages",
    element: one
      ? frame("Page", { beside: [exportButton(context, "views")], lede: el("a", { href: address("/admin/pages", { ...filter, page: "" }) }, "All pages") }, picture, el("section", {}, sectionHead("Visits with this page"), visits?.element))
      : frame("Pages", { beside: [exportButton(context, "pages")] }, picture, pages.element),
    load,
    ...follow({ load }, { pause: SLOWLY_MS }),
  }
}
