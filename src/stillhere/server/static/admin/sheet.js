// Tables that become cards on a narrow screen, keep their rows while these stay, and go on where a list says.

import { el, reconcile, refill, setText } from "../dom.js"
import { blank, skeleton } from "./parts.js"
import { sentence } from "./api.js"

/** @typedef {import("../dom.js").Child} Child */

/**
 * @template Item
 * @typedef {object} Column
 * @property {string} label
 * @property {Child} [head] instead of the label, such as a term with its definition
 * @property {string} [className]
 * @property {boolean} [bare] without its label on a narrow screen
 * @property {(item: Item) => Child | Child[]} show
 */

/**
 * @template Item
 * @typedef {object} Plan
 * @property {string} label what the table is
 * @property {string} [className]
 * @property {Column<Item>[]} columns
 * @property {(item: Item) => string} key
 * @property {[string, string]} empty title and words when there is nothing
 * @property {(item: Item) => string} [tone] a class for the row
 */

/** @template Item */
class Row {
  /** @param {Plan<Item>} plan */
  constructor(plan) {
    this.plan = plan
    this.element = el("tr", { role: "row" })
    this.was = ""
  }

  /** @param {Item} item */
  update(item) {
    const now = JSON.stringify(item)
    if (now === this.was) return
    this.was = now
    this.element.className = this.plan.tone?.(item) ?? ""
    refill(this.element, ...this.plan.columns.map(({ label, className, bare, show }) =>
      el("td", { role: "cell", class: className ?? null, "data-label": bare ? null : label }, ...[show(item)].flat())))
  }
}

/** A table. @template Item */
export class Sheet {
  /** @param {Plan<Item>} plan */
  constructor(plan) {
    this.plan = plan
    /** @type {Map<string, Row<Item>>} */
    this.rows = new Map()
    /** @type {Item[]} */
    this.items = []
    this.body = el("tbody", { role: "rowgroup" })
    this.table = el("table", { class: `sheet ${plan.className ?? ""}`, role: "table", "aria-label": plan.label },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...plan.columns.map(({ label, head, className }) =>
        el("th", { role: "columnheader", scope: "col", class: className ?? null }, head ?? label)))),
      this.body)
    this.element = el("div", { class: "sheet-box" }, this.table)
    this.wait = skeleton(8)
    this.none = blank(...plan.empty)
    this.table.hidden = true
    this.element.append(this.wait)
  }

  /** @param {Item[]} items */
  show(items) {
    this.items = items
    reconcile(this.body, this.rows, items, this.plan.key, () => new Row(this.plan))
    this.table.hidden = !items.length
    this.wait.remove()
    if (items.length) this.none.remove()
    else this.element.append(this.none)
  }
}

/**
 * A table that is fetched page by page, newest first; the person asks for the next.
 * @template Item
 */
export class Pages {
  /**
   * @param {Plan<Item>} plan
   * @param {(before: string | null) => Promise<{ items: Item[], next: string | null }>} fetchPage
   * @param {string} more what the button says
   */
  constructor(plan, fetchPage, more) {
    this.sheet = new Sheet(plan)
    this.fetchPage = fetchPage
    this.more = more
    this.next = /** @type {string | null} */ (null)
    this.button = el("button", { type: "button", class: "button", onclick: () => this.further() }, more)
    this.foot = el("p", { class: "more no-print", hidden: true }, this.button)
    this.element = el("div", {}, this.sheet.element, this.foot)
    this.turn = 0
  }

  /** Fetches the newest page again; what was loaded below it stays where it joins on. */
  async load() {
    const mine = ++this.turn
    const { items, next } = await this.fetchPage(null)
    if (mine !== this.turn) return
    const { key } = this.sheet.plan
    const fresh = new Set(items.map(key))
    const old = this.sheet.items
    const joins = old.length > items.length && old.some(item => fresh.has(key(item)))
    if (!joins) this.next = next
    this.sheet.show(joins ? [...items, ...old.filter(item => !fresh.has(key(item)))] : items)
    this.foot.hidden = this.next === null
  }

  /** Changes rows that are there; tells whether all of them were. @param {Item[]} changed */
  change(changed) {
    const { key } = this.sheet.plan
    const by = new Map(changed.map(item => [key(item), item]))
    const known = new Set(this.sheet.items.map(key))
    this.sheet.show(this.sheet.items.map(item => by.get(key(item)) ?? item))
    return [...by.keys()].every(one => known.has(one))
  }

  /** Fetches what follows on what is there; again, if that became something else meanwhile. */
  async following() {
    let from, page
    do {
      from = this.next
      page = from === null ? { items: [], next: null } : await this.fetchPage(from)
    } while (from !== this.next)
    return page
  }

  async further() {
    if (this.next === null || this.button.getAttribute("aria-disabled") === "true") return
    this.button.setAttribute("aria-disabled", "true")
    setText(this.button, "Loading…")
    try {
      const { items, next } = await this.following()
      const { key } = this.sheet.plan
      const there = new Set(this.sheet.items.map(key))
      const fresh = items.filter(item => !there.has(key(item)))
      this.next = next
      this.sheet.show([...this.sheet.items, ...fresh])
      this.foot.hidden = next === null
      setText(this.button, this.more)
    } catch (error) {
      setText(this.button, `Not loaded. ${sentence(error)} Try again`)
    } finally {
      this.button.removeAttribute("aria-disabled")
    }
  }
}
