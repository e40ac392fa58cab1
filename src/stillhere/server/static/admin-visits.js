// The visits: newest first, filtered by visitor, each with its views behind a click.

import { getVisit, getVisits } from "./admin-api.js"
import { cell, ending, shareBar, showTime, standIn } from "./admin-parts.js"
import { byId, el, setText } from "./dom.js"
import { count, duration, percent } from "./format.js"

/** @typedef {import("./admin-api.js").Visit} Visit */

/** One visit: a body of its own, so that its views can follow it. */
class VisitRow {
  /** @param {Visit} visit */
  constructor(visit) {
    this.visit = visit
    this.ending = /** @type {string | undefined} */ (undefined)
    const id = `views-of-${visit.id}`
    this.name = el("span")
    this.opener = el("button", { type: "button", class: "link opener", "aria-expanded": "false", "aria-controls": id, onclick: () => this.toggle() }, this.name)
    this.started = cell("when", "Started")
    this.ended = cell("when ended-cell", "Ended")
    this.bar = shareBar()
    this.open = cell("right", "Open")
    this.visible = cell("right", "Visible")
    this.active = cell("right", "Active")
    this.views = cell("right views-cell", "Views")
    this.inside = el("td", { role: "cell", colspan: 8 })
    this.detail = el("tr", { role: "row", class: "detail", id, hidden: true }, this.inside)
    this.element = el("tbody", { role: "rowgroup", class: "visit" },
      el("tr", { role: "row" }, cell("cut", "", this.opener), this.started, this.ended, cell("wide span-all", "", this.bar.element), this.open, this.visible, this.active, this.views),
      this.detail)
  }

  /** @param {Visit} visit */
  update(visit) {
    this.visit = visit
    setText(this.name, visit.visitor)
    this.opener.title = visit.visitor
    showTime(this.started, visit.startedAt)
    const how = `${visit.here} ${visit.endedAt} ${visit.endedBy}`
    if (this.ending !== how) {
      this.ending = how
      if (visit.here) this.ended.replaceChildren(el("span", { class: "badge good" }, el("span", { class: "dot live" }), "still here"))
      else {
        const time = el("span")
        showTime(time, visit.endedAt)
        this.ended.replaceChildren(time, ...(visit.endedBy ? [" ", el("span", { class: "sub" }, ending(visit.endedBy))] : []))
      }
    }
    this.bar.update(visit)
    setText(this.open, duration(visit.openMs))
    setText(this.visible, duration(visit.visibleMs))
    setText(this.active, duration(visit.activeMs))
    setText(this.views, count(visit.views))
    if (visit.here && !this.detail.hidden) void this.load()
  }

  toggle() {
    this.detail.hidden = !this.detail.hidden
    this.opener.setAttribute("aria-expanded", String(!this.detail.hidden))
    if (this.detail.hidden) return
    if (!this.inside.firstChild) this.inside.append(el("p", { class: "small muted" }, "Loading the views…"))
    void this.load()
  }

  async load() {
    try {
      const { views } = await getVisit(this.visit.id)
      this.inside.replaceChildren(views.length ? viewsTable(views) : el("p", { class: "small muted" }, "No page of this visit was seen."))
    } catch (error) {
      if (this.inside.querySelector("table")) return
      this.inside.replaceChildren(el("p", { class: "small muted", role: "status" }, `The views can’t be shown: ${error instanceof Error ? error.message : "unknown trouble"}. `,
        el("button", { type: "button", class: "button slim", onclick: () => this.load() }, "Try again")))
    }
  }
}

/** @param {import("./admin-api.js").View[]} views */
function viewsTable(views) {
  const head = ["Page", "Opened", "Visible", "Active", "Scrolled to", "Now"]
  return el("table", { class: "sheet views", role: "table", "aria-label": "Views of this visit" },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      ...head.map((word, i) => el("th", { role: "columnheader", scope: "col", class: i > 1 && i < 5 ? "right" : null }, word)))),
    el("tbody", { role: "rowgroup" }, ...views.map(view => {
      const opened = cell("when", "Opened")
      showTime(opened, view.openedAt)
      return el("tr", { role: "row" },
        cell("cut", "", el("span", { title: view.title ?? view.page }, view.title || view.page), view.title ? el("span", { class: "sub" }, view.page) : null),
        opened, cell("right", "Visible", duration(view.visibleMs)), cell("right", "Active", duration(view.activeMs)),
        cell("right", "Scrolled to", percent(view.scrollPct)), cell("", "Page is", view.lifecycle ?? "–"))
    })))
}

/** @type {Map<string, VisitRow>} */
let rows = new Map()
/** @type {Visit[]} */
let known = []
let next = /** @type {string | null} */ (null)
let visitor = ""
let loaded = false
let question = 0

function show() {
  const stand = byId("visits-empty")
  const table = stand.parentElement
  if (!table) return
  const ids = new Set(known.map(visit => visit.id))
  for (const [id, row] of rows) {
    if (ids.has(id)) continue
    row.element.remove()
    rows.delete(id)
  }
  let place = table.querySelector("tbody")
  for (const visit of known) {
    let row = rows.get(visit.id)
    if (!row) rows.set(visit.id, (row = new VisitRow(visit)))
    if (row.visit !== visit || row.ending === undefined) row.update(visit)
    if (row.element === place) place = /** @type {HTMLTableSectionElement | null} */ (place.nextElementSibling)
    else table.insertBefore(row.element, place)
  }
  standIn(stand, known.length ? null : visitor ? `No visit of “${visitor}”.` : "No visit yet. The first one appears here when somebody reads a page.")
  byId("more").hidden = next === null
}

/** Fetches the newest page again; what was loaded below it stays. */
export async function refreshVisits() {
  const mine = ++question
  const page = await getVisits({ visitor })
  if (mine !== question) return
  const fresh = new Set(page.visits.map(visit => visit.id))
  const joins = loaded && known.some(visit => fresh.has(visit.id))
  known = joins ? [...page.visits, ...known.filter(visit => !fresh.has(visit.id))] : page.visits
  if (!joins) next = page.next
  loaded = true
  show()
}

async function more() {
  const button = /** @type {HTMLButtonElement} */ (byId("more"))
  if (next === null || button.disabled) return
  button.disabled = true
  const asked = visitor
  try {
    const page = await getVisits({ visitor, before: next })
    if (asked !== visitor) return
    const there = new Set(known.map(visit => visit.id))
    known = [...known, ...page.visits.filter(visit => !there.has(visit.id))]
    next = page.next
    setText(button, "Show earlier visits")
    show()
  } catch (error) {
    setText(button, `Not loaded: ${error instanceof Error ? error.message : "unknown trouble"}. Try again`)
  } finally {
    button.disabled = false
  }
}

/**
 * Shows only one visitor's visits; "" shows all.
 * @param {string} who
 */
export async function filterVisits(who) {
  visitor = who.trim()
  const input = /** @type {HTMLInputElement} */ (byId("filter-visitor"))
  input.value = visitor
  const query = visitor ? `?${new URLSearchParams({ visitor })}` : ""
  byId("csv").setAttribute("href", `/admin/visits.csv${query}`)
  history.replaceState(null, "", `${location.pathname}${query}${location.hash}`)
  loaded = false
  known = []
  next = null
  await refreshVisits().catch(error => standIn(byId("visits-empty"), `The visits can’t be shown: ${error.message}. Trying again.`))
}

/** Connects the filter and the paging, and takes the filter from the address. */
export function startVisits() {
  const input = /** @type {HTMLInputElement} */ (byId("filter-visitor"))
  byId("filter").addEventListener("submit", event => {
    event.preventDefault()
    void filterVisits(input.value)
  })
  input.addEventListener("search", () => { if (input.value.trim() !== visitor) void filterVisits(input.value) })
  byId("more").addEventListener("click", more)
  const wanted = new URLSearchParams(location.search).get("visitor") ?? ""
  return filterVisits(wanted)
}
