// The visitors with their totals.

import { el } from "../../dom.js"
import { count, duration } from "../../format.js"
import { read } from "../api.js"
import { exportButton } from "../export.js"
import { address, wayOut } from "../filters.js"
import { badges, term, visitorLink } from "../parts.js"
import { Pages } from "../sheet.js"
import { frame } from "../stage.js"
import { timeElement } from "../times.js"
import { follow } from "./visits.js"

/** @typedef {import("../api.js").Visitor} Visitor */
/** @typedef {import("../stage.js").Context} Context */

const ORDERS = [["last", "Last seen"], ["visible", "Longest visible"], ["visits", "Most visits"]]

/**
 * @param {Context} context
 * @returns {import("../sheet.js").Plan<Visitor>}
 */
const plan = ({ filter }) => ({
  label: "Visitors",
  className: "visitors-table",
  key: visitor => visitor.visitor,
  empty: ["No visitor", wayOut(filter, "As soon as somebody opens a page, they appear.")],
  columns: [
    { label: "Visitor", className: "cut", bare: true, show: visitor => el("span", { class: "person" }, visitorLink(visitor.visitor, filter), ...badges(visitor)) },
    { label: "Visits", className: "right", show: visitor => count(visitor.visits) },
    { label: "Visible", head: term("visible", "Visible"), className: "right", show: visitor => duration(visitor.visibleMs) },
    { label: "Active", head: term("active", "Active"), className: "right", show: visitor => duration(visitor.activeMs) },
    { label: "Median visit", head: term("median-of", "Median visit"), className: "right", show: visitor => duration(visitor.medianVisibleMs) },
    { label: "Open", head: term("open", "Open"), className: "right", show: visitor => duration(visitor.openMs) },
    { label: "First", className: "right when", show: visitor => timeElement(visitor.firstAt) },
    { label: "Last", className: "right when", show: visitor => timeElement(visitor.lastAt) },
  ],
})

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const { place, filter, signal } = context
  const sort = ORDERS.some(([order]) => order === place.query.get("sort")) ? place.query.get("sort") ?? "last" : "last"
  const pages = new Pages(plan(context), async before => {
    const asked = new URLSearchParams(context.asked)
    for (const [key, value] of Object.entries({ sort, limit: "50", before: before ?? "" })) if (value) asked.set(key, value)
    const { visitors, next } = await read("visitors", asked, signal)
    return { items: visitors, next: next ?? null }
  }, "Show more visitors")
  const orders = el("nav", { class: "segments", "aria-label": "Order" }, ...ORDERS.map(([order, words]) =>
    el("a", { class: "segment", href: address(place.path, filter, { sort: order === "last" ? "" : order }), "aria-current": order === sort ? "true" : null }, words)))
  const { onVisits, leave } = follow({ load: () => pages.load() })
  return {
    title: "Visitors",
    element: frame("Visitors", { beside: [orders, exportButton(context, "visitors")] }, pages.element),
    load: () => pages.load(),
    // Totals are added up by the server: what changed is asked for, not put together here.
    onVisits: () => onVisits(null),
    leave,
  }
}
