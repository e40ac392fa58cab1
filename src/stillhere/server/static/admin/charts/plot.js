// The frame of every chart: loads Observable Plot when the first one is drawn, fits the width, and offers the numbers as a table.

import { el, setText } from "../../dom.js"

/** @typedef {Record<string, (...options: any[]) => any>} Plot the marks that `client/vendor-charts.mjs` bundles */

const PLACE = "../../vendor/plot.js"

/** @type {Promise<Plot> | null} */
let loading = null

/** Loads Plot once; what failed is tried again by the next chart. @returns {Promise<Plot>} */
const loadPlot = () => (loading ??= import(PLACE).catch(error => {
  loading = null
  throw error
}))

/**
 * @typedef {object} Picture
 * @property {string} title
 * @property {string} words what it shows, for who cannot see it
 * @property {number} height
 * @property {(plot: Plot, width: number) => Element} draw
 * @property {string[]} head of the table
 * @property {(string | number)[][]} rows of the table
 * @property {boolean} [small] without a heading of its own
 */

/** @param {Picture} picture */
function numbers({ head, rows, title }) {
  return el("table", { class: "numbers-table num" }, el("caption", { class: "visually-hidden" }, title),
    el("thead", {}, el("tr", {}, ...head.map((word, i) => el("th", { scope: "col", class: i ? "right" : null }, word)))),
    el("tbody", {}, ...rows.map(row => el("tr", {}, ...row.map((value, i) => i ? el("td", { class: "right" }, value) : el("th", { scope: "row" }, el("bdi", {}, value)))))))
}

/** Nothing can be read in less, and some marks would be of less than no width. */
const LEAST_PX = 120

/** A chart with its title and its table. It draws itself again when its width or what it shows changes; its table stays open meanwhile. */
export class Chart {
  constructor() {
    this.picture = /** @type {Picture | null} */ (null)
    this.width = 0
    this.caption = el("figcaption")
    this.canvas = el("div", { class: "canvas" })
    this.rows = el("div", { class: "scroll", tabindex: 0, role: "region" })
    this.table = el("details", { class: "as-table no-print" }, el("summary", {}, "As a table"), this.rows)
    this.table.addEventListener("toggle", () => this.fill())
    this.element = el("figure", { class: "chart" }, this.caption, this.canvas, this.table)
    new ResizeObserver(() => { if (Math.floor(this.canvas.clientWidth) !== this.width) void this.paint() }).observe(this.canvas)
  }

  /** @param {Picture} picture */
  show(picture) {
    this.picture = picture
    this.element.setAttribute("aria-label", picture.title)
    this.rows.setAttribute("aria-label", `${picture.title}, as a table`)
    this.caption.hidden = Boolean(picture.small)
    setText(this.caption, picture.title)
    this.canvas.style.minHeight = `${picture.height}px`
    this.fill()
    void this.paint()
    return this.element
  }

  /** The table's rows, once somebody wants to see them. */
  fill() {
    if (this.table.open && this.picture) this.rows.replaceChildren(numbers(this.picture))
  }

  async paint() {
    const { picture } = this
    const width = Math.floor(this.canvas.clientWidth)
    if (!picture || width < LEAST_PX) return
    this.width = width
    try {
      const plot = await loadPlot()
      if (this.picture !== picture || this.width !== width) return
      const drawn = picture.draw(plot, width)
      // The picture is one image with one description; Plot's names for its parts would be read beside it.
      for (const part of drawn.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label")
      drawn.setAttribute("role", "img")
      drawn.setAttribute("aria-label", picture.words)
      this.canvas.replaceChildren(drawn)
    } catch (error) {
      console.error(error)
      this.canvas.replaceChildren(el("p", { class: "muted small" }, "The chart can’t be drawn here; the table below has its numbers."))
      this.table.open = true
    }
  }
}

/** What all charts share: our type, our colours, no style sheet of Plot's. */
export const LOOK = { className: "plot", style: { fontSize: "12px", fontFamily: "inherit", background: "transparent", overflow: "visible" } }

/** A tooltip in our colours. */
export const TIP = { fill: "var(--surface)", stroke: "var(--line-strong)", textPadding: 10, fontSize: 12.5, lineHeight: 1.4 }
