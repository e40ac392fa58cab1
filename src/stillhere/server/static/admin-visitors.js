// The visitors with their totals. Choosing one filters the visits.

import { getVisitors } from "./admin-api.js"
import { cell, showTime, standIn } from "./admin-parts.js"
import { filterVisits } from "./admin-visits.js"
import { byId, el, reconcile, setText } from "./dom.js"
import { count, duration, plural } from "./format.js"

/** @typedef {import("./admin-api.js").Visitor} Visitor */

class VisitorRow {
  /** @param {Visitor} visitor */
  constructor(visitor) {
    this.name = el("button", { type: "button", class: "link", onclick: () => choose(visitor.visitor) })
    this.visits = cell("right", "Visits")
    this.open = cell("right", "Open")
    this.visible = cell("right", "Visible")
    this.active = cell("right", "Active")
    this.first = cell("right", "First")
    this.last = cell("right", "Last")
    this.element = el("tr", { role: "row" }, cell("cut", "", this.name), this.visits, this.open, this.visible, this.active, this.first, this.last)
  }

  /** @param {Visitor} visitor */
  update(visitor) {
    setText(this.name, visitor.visitor)
    this.name.title = `Show the visits of ${visitor.visitor}`
    setText(this.visits, count(visitor.visits))
    setText(this.open, duration(visitor.openMs))
    setText(this.visible, duration(visitor.visibleMs))
    setText(this.active, duration(visitor.activeMs))
    showTime(this.first, visitor.firstAt)
    showTime(this.last, visitor.lastAt)
  }
}

/** @param {string} visitor */
function choose(visitor) {
  void filterVisits(visitor)
  byId("visits").scrollIntoView()
  byId("filter-visitor").focus({ preventScroll: true })
}

/** @type {Map<string, VisitorRow>} */
const rows = new Map()
let names = ""

export async function refreshVisitors() {
  const { visitors } = await getVisitors()
  reconcile(byId("visitors-rows"), rows, visitors, one => one.visitor, one => new VisitorRow(one))
  standIn(byId("visitors-empty"), visitors.length ? null : "Nobody has visited yet.")
  setText(byId("visitors-note"), visitors.length ? plural(visitors.length, "visitor") : "")
  const all = visitors.map(one => one.visitor)
  if (names === all.join("\n")) return
  names = all.join("\n")
  byId("known-visitors").replaceChildren(...all.map(value => el("option", { value })))
}
