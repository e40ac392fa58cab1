// The frame of every chart: loads Observable Plot when the first one is drawn, fits the width, and offers the numbers as a table.

import { el } from "../../dom.js"

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

/** @param {string[]} head @param {(string | number)[][]} rows @param {string} title */
function numbers(head, rows, title) {
  return el("table", { class: "numbers-table num" }, el("caption", { class: "visually-hidden" }, title),
    el("thead", {}, el("tr", {}, ...head.map((word, i) => el("th", { scope: "col", class: i ? "right" : null }, word)))),
    el("tbody", {}, ...rows.map(row => el("tr", {}, ...row.map((value, i) => i ? el("td", { class: "right" }, value) : el("th", { scope: "row" }, el("bdi", {}, value)))))))
}

/**
 * A chart with its title and its table. It draws itself again when its width changes.
 * @param {Picture} picture
 */
export function chart({ title, words, height, draw, head, rows, small }) {
  const canvas = el("div", { class: "canvas" })
  canvas.style.minHeight = `${height}px`
  const table = el("details", { class: "as-table no-print" }, el("summary", {}, "As a table"))
  table.addEventListener("toggle", () => { if (table.open && !table.querySelector("table")) table.append(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${title}, as a table` }, numbers(head, rows, title))) })
  let width = 0
  const paint = async () => {
    const now = Math.floor(canvas.clientWidth)
    if (!now || now === width) return
    width = now
    try {
      const picture = draw(await loadPlot(), now)
      // The picture is one image with one description; Plot's names for its parts would be read beside it.
      for (const part of picture.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label")
      picture.setAttribute("role", "img")
      picture.setAttribute("aria-label", words)
      canvas.replaceChildren(picture)
    } catch (error) {
      console.error(error)
      canvas.replaceChildren(el("p", { class: "muted small" }, "The chart can’t be drawn here; the table below has its numbers."))
      table.open = true
    }
  }
  new ResizeObserver(() => void paint()).observe(canvas)
  return el("figure", { class: "chart", "aria-label": title }, small ? null : el("figcaption", {}, title), canvas, table)
}

/** What all charts share: our type, our colours, no style sheet of Plot's. */
export const LOOK = { className: "plot", style: { fontSize: "12px", fontFamily: "inherit", background: "transparent", overflow: "visible" } }

/** A tooltip in our colours. */
export const TIP = { fill: "var(--surface)", stroke: "var(--line-strong)", textPadding: 10, fontSize: 12.5, lineHeight: 1.4 }
