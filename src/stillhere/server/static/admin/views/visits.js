// The visits: newest first, as the filter says, each linked to its timeline.

import { el } from "../../dom.js"
import { count, duration } from "../../format.js"
import { read } from "../api.js"
import { exportButton } from "../export.js"
import { address, wayOut } from "../filters.js"
import { badges, ended, seen, shareBar, term, visibleTime, visitorLink } from "../parts.js"
import { visitPath } from "../router.js"
import { Pages } from "../sheet.js"
import { frame } from "../stage.js"
import { timeElement } from "../times.js"

/** @typedef {import("../api.js").Visit} Visit */
/** @typedef {import("../stage.js").Context} Context */

export const PAGE_SIZE = "50"

/**
 * How a list of visits looks, wherever there is one.
 * @param {Context} context
 * @param {{ withVisitor?: boolean }} [how]
 * @returns {import("../sheet.js").Plan<Visit>}
 */
export function visitSheet({ filter }, { withVisitor = true } = {}) {
  const lasting = { ...filter, visitor: "", page: "" }
  /** @type {import("../sheet.js").Column<Visit>[]} */
  const columns = [
    { label: "Started", className: "when", show: visit => el("a", { class: "plain strong", href: address(visitPath(visit.id), { zone: filter.zone }) }, timeElement(visit.startedAt), el("span", { class: "visually-hidden" }, `, visit of ${seen(visit.visitor)}`)) },
    { label: "Ended", className: "when ended-cell", show: visit => ended(visit) },
    { label: "Share of the visit", className: "wide span-all", bare: true, show: visit => shareBar(visit, 3_600_000) },
    { label: "Open", head: term("open", "Open"), className: "right", show: visit => duration(visit.openMs) },
    { label: "Visible", head: term("visible", "Visible"), className: "right", show: visit => visibleTime(visit) },
    { label: "Active", head: term("active", "Active"), className: "right", show: visit => duration(visit.activeMs) },
    { label: "Views", head: term("views", "Views"), className: "right views-cell", show: visit => count(visit.views) },
  ]
  if (withVisitor) columns.unshift({ label: "Visitor", className: "cut", bare: true, show: visit => [
    el("span", { class: "person" }, visitorLink(visit.visitor, lasting), ...badges(visit)), visit.device ? el("span", { class: "sub foreign" }, visit.device) : null] })
  else columns.splice(2, 0, { label: "Device", className: "device", show: visit => [el("span", { class: "foreign" }, visit.device || "–"), " ", ...badges({ excluded: visit.excluded })] })
  return {
    label: "Visits",
    className: withVisitor ? "visits-table" : "visits-table one-visitor",
    key: visit => visit.id,
    columns,
    empty: ["No visit", wayOut(filter, withVisitor ? "The first one appears here when somebody reads a page." : "Nobody of this name was here.")],
    tone: visit => visit.excluded ? "excluded" : "",
  }
}

/** What the colours of the bars mean. */
export const barKey = () => el("p", { class: "key small muted", "aria-hidden": "true" },
  el("span", { class: "swatch active" }), "active ", el("span", { class: "swatch visible" }), "visible ", el("span", { class: "swatch open" }), "open. A longer visit has a longer bar.")

/**
 * A list of visits that goes on where it is asked to.
 * @param {Context} context
 * @param {{ withVisitor?: boolean, query?: Record<string, string> }} [how]
 */
export function visitPages(context, { withVisitor, query = {} } = {}) {
  return new Pages(visitSheet(context, { withVisitor }), async before => {
    const asked = new URLSearchParams(context.asked)
    for (const [key, value] of Object.entries({ ...query, limit: PAGE_SIZE, before: before ?? "" })) if (value) asked.set(key, value)
    const { visits, next } = await read("visits", asked, context.signal)
    return { items: visits, next }
  }, "Show earlier visits")
}

/** How long what is added up over many visits waits for more to happen before it is asked for again, in ms. */
export const SLOWLY_MS = 20_000

/**
 * Keeps a list of visits up to date: what it holds changes at once, what is new is fetched, but not more than once in a while.
 * @param {{ load: () => Promise<void>, change?: (visits: Visit[]) => boolean }} pages
 * @param {{ also?: () => void, pause?: number }} [how]
 */
export function follow(pages, { also = () => {}, pause = 1500 } = {}) {
  let due = 0
  return {
    /** @param {Visit[] | null} visits */
    onVisits(visits) {
      if (visits && pages.change?.(visits)) return
      if (due) return
      due = window.setTimeout(() => {
        due = 0
        void pages.load().catch(() => {})
        also()
      }, pause)
    },
    leave: () => clearTimeout(due),
  }
}

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const pages = visitPages(context)
  return {
    title: "Visits",
    element: frame("Visits", { beside: [exportButton(context, "visits")], lede: barKey() }, pages.element),
    load: () => pages.load(),
    ...follow(pages),
  }
}
