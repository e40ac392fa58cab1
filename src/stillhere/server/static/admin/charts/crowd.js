// How many visitors were here at the same time.

import { count, plural } from "../../format.js"
import { dayOf, moment, say, ticksBetween } from "../times.js"
import { LOOK, TIP } from "./plot.js"

const DAY = 86_400_000

/**
 * @param {import("../api.js").Crowd[]} points
 * @param {import("../api.js").Crowd | null} peak
 * @param {{ height?: number, small?: boolean }} [how]
 * @returns {import("./plot.js").Picture}
 */
export function crowdPicture(points, peak, { height = 220, small = false } = {}) {
  const data = points.map(({ at, visitors }) => ({ at: new Date(at), visitors, title: `${moment(at)}\n${plural(visitors, "visitor")}` }))
  const span = data.length ? data[data.length - 1].at.getTime() - data[0].at.getTime() : 0
  const days = span > 0 && span <= 2 * DAY && dayOf(data[0].at) !== dayOf(data[data.length - 1].at)
  const top = peak ? [{ at: new Date(peak.at), visitors: peak.visitors, label: `${count(peak.visitors)} at ${moment(peak.at)}` }] : []
  const summit = Math.max(1, peak?.visitors ?? 0, ...data.map(one => one.visitors))
  return {
    title: "Visitors at the same time",
    words: peak ? `Visitors at the same time. The most: ${count(peak.visitors)}, ${moment(peak.at)}.` : "Visitors at the same time.",
    height,
    small,
    head: ["At", "Visitors"],
    rows: data.map(({ at, visitors }) => [moment(at.toISOString()), count(visitors)]),
    draw(plot, width) {
      const words = (/** @type {Date} */ at, /** @type {number} */ i, /** @type {Date[]} */ all) => {
        if (span > 2 * DAY) return say("day", at)
        const isNew = days && (!i || dayOf(at) !== dayOf(all[i - 1]))
        return `${say("clock", at)}${isNew ? `\n${say("day", at)}` : ""}`
      }
      const ticks = { ticks: data.length ? ticksBetween(data[0].at.getTime(), data[0].at.getTime() + span, Math.max(2, Math.floor(width / 110))) : [], tickFormat: words, tickSize: 0, label: null, fill: "var(--muted)" }
      const late = top.length && span ? (top[0].at.getTime() - data[0].at.getTime()) / span : 0
      return plot.plot({
        ...LOOK, width, height, marginLeft: 40, marginRight: 26, marginTop: 24, marginBottom: days ? 40 : 26,
        x: { type: "utc", label: null },
        y: { domain: [0, summit], label: null },
        marks: [
          plot.gridY({ stroke: "var(--line)", strokeOpacity: 1, ticks: Math.min(4, summit) }),
          plot.axisY({ tickSize: 0, label: null, fill: "var(--muted)", ticks: Math.min(4, summit), tickFormat: count }),
          plot.axisX(ticks),
          plot.areaY(data, { x: "at", y: "visitors", curve: "step-after", fill: "var(--accent-soft)" }),
          plot.lineY(data, { x: "at", y: "visitors", curve: "step-after", stroke: "var(--accent)", strokeWidth: 1.5 }),
          plot.ruleY([0], { stroke: "var(--line-strong)" }),
          plot.dot(top, { x: "at", y: "visitors", fill: "var(--accent)", r: 4 }),
          plot.text(top, { x: "at", y: "visitors", text: "label", dy: -12, textAnchor: late > 0.8 ? "end" : late < 0.2 ? "start" : "middle", fill: "var(--ink)", fontWeight: 600 }),
          plot.tip(data, plot.pointerX({ x: "at", y: "visitors", title: "title", ...TIP })),
        ],
      })
    },
  }
}
