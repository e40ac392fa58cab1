// How long pages are looked at: the middle half and the median of each, or one visitor beside everybody.

import { brief, duration } from "../../format.js"
import { seen } from "../parts.js"
import { LOOK, TIP } from "./plot.js"

/** @typedef {import("../api.js").Page} Page */
/** @typedef {import("./plot.js").Picture} Picture */

const ROW = 30
const MOST = 12

/** Steps that read well on an axis of times, in ms. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 36_000, 86_400].map(seconds => seconds * 1000)

/** @param {number} most @param {number} width */
function ticksFor(most, width) {
  const wanted = Math.max(2, Math.floor(width / 90))
  const step = STEPS.find(one => most / one <= wanted) ?? STEPS[STEPS.length - 1]
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step)
}

/** Names of pages, cut where they are long and still each its own. @param {Page[]} pages @param {number} width */
function names(pages, width) {
  const room = Math.max(9, Math.floor((width * 0.38 - 14) / 7.3))
  const taken = new Map()
  return pages.map(page => {
    const full = seen(page.title || page.page)
    const cut = full.length > room ? `${full.slice(0, room - 1)}…` : full
    const again = taken.get(cut) ?? 0
    taken.set(cut, again + 1)
    return cut + "\u200b".repeat(again)
  })
}

/** @param {{ most: number, width: number, labels: string[] }} about */
function frame({ most, width, labels }) {
  const left = Math.min(Math.round(width * 0.38), 14 + 7.3 * Math.max(...labels.map(label => label.length)))
  return {
    ...LOOK, width, height: labels.length * ROW + 34, marginLeft: Math.max(48, left), marginRight: 14, marginTop: 6, marginBottom: 26,
    x: { domain: [0, most || 1], label: null }, y: { type: "band", domain: labels, label: null, padding: 0.35 },
  }
}

/**
 * @param {any} plot
 * @param {number} most
 * @param {number} width
 */
const axes = (plot, most, width) => [
  plot.gridX({ stroke: "var(--line)", strokeOpacity: 1, ticks: ticksFor(most, width) }),
  plot.axisX({ ticks: ticksFor(most, width), tickFormat: (/** @type {number} */ ms) => ms ? brief(ms) : "0", tickSize: 0, label: null, fill: "var(--muted)" }),
  plot.axisY({ tickSize: 0, label: null, fill: "var(--ink)" }),
]

/**
 * Pages with their quartiles.
 * @param {Page[]} pages
 * @returns {Picture}
 */
export function quartilePicture(pages) {
  const shown = pages.filter(page => page.visible.median !== null).slice(0, MOST)
  const most = Math.max(0, ...shown.map(page => page.visible.q3 ?? 0)) * 1.04
  return {
    title: "Visible per view: median and middle half",
    words: `Visible time per view of ${shown.length} pages: ${shown.map(page => `${seen(page.title || page.page)} median ${duration(page.visible.median)}`).join("; ")}.`,
    height: shown.length * ROW + 34,
    head: ["Page", "Quarter below", "Median", "Quarter above"],
    rows: shown.map(page => [seen(page.title || page.page), duration(page.visible.q1), duration(page.visible.median), duration(page.visible.q3)]),
    draw(plot, width) {
      const labels = names(shown, width)
      const data = shown.map(({ title, page, visible, views }, i) => ({ name: labels[i], ...visible,
        title: `${seen(title || page)}\nhalf of ${views} views: ${duration(visible.q1)} to ${duration(visible.q3)}\nmedian ${duration(visible.median)}` }))
      return plot.plot({ ...frame({ most, width, labels }), marks: [
        ...axes(plot, most, width),
        plot.barX(data, { y: "name", x1: "q1", x2: "q3", fill: "var(--accent-mid)", fillOpacity: 0.55, rx: 3 }),
        plot.tickX(data, { y: "name", x: "median", stroke: "var(--accent)", strokeWidth: 3 }),
        plot.tip(data, plot.pointerY({ y: "name", x: "median", title: "title", ...TIP })),
      ] })
    },
  }
}

/**
 * One visitor's time on each page beside the average of everybody who was there.
 * @param {Page[]} own
 * @param {Map<string, number>} average ms by page
 * @returns {Picture}
 */
export function averagePicture(own, average) {
  const shown = own.slice(0, MOST)
  const most = Math.max(1, ...shown.map(page => Math.max(page.visible.sum ?? 0, average.get(page.page) ?? 0))) * 1.04
  return {
    title: "Time on each page, beside the average visitor",
    small: true,
    words: `Visible time on ${shown.length} pages beside the average: ${shown.map(page => `${seen(page.title || page.page)} ${duration(page.visible.sum)}, average ${duration(average.get(page.page))}`).join("; ")}.`,
    height: shown.length * ROW + 34,
    head: ["Page", "This visitor", "Average visitor"],
    rows: shown.map(page => [seen(page.title || page.page), duration(page.visible.sum), duration(average.get(page.page))]),
    draw(plot, width) {
      const labels = names(shown, width)
      const data = shown.map(({ title, page, visible }, i) => ({ name: labels[i], own: visible.sum ?? 0, average: average.get(page) ?? null,
        title: `${seen(title || page)}\nthis visitor ${duration(visible.sum)}\naverage ${duration(average.get(page))}` }))
      return plot.plot({ ...frame({ most, width, labels }), marks: [
        ...axes(plot, most, width),
        plot.barX(data, { y: "name", x: "own", fill: "var(--accent-mid)", rx: 2 }),
        plot.tickX(data.filter(one => one.average !== null), { y: "name", x: "average", stroke: "var(--before)", strokeWidth: 3 }),
        plot.ruleX([0], { stroke: "var(--line-strong)" }),
        plot.tip(data, plot.pointerY({ y: "name", x: "own", title: "title", ...TIP })),
      ] })
    },
  }
}
