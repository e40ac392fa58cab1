// Visits per hour, day, week or month, with the period before behind them.

import { count, duration, share } from "../../format.js"
import { dayOf, hourOf, say } from "../times.js"
import { LOOK, TIP } from "./plot.js"

/** @typedef {import("../api.js").Bucket} Bucket */
/** @typedef {import("./plot.js").Picture} Picture */
/** @typedef {"visits" | "visitors" | "visibleMs" | "activeMs"} Measure */

export const MEASURES = /** @type {[Measure, string][]} */ ([["visits", "Visits"], ["visitors", "Visitors"], ["visibleMs", "Visible time"], ["activeMs", "Active time"]])

const HOUR = 3_600_000

/** @param {Measure} measure */
const show = measure => measure.endsWith("Ms") ? duration : count

/**
 * What a bucket is called.
 * @param {Bucket} bucket
 * @param {string} unit
 */
function bucketName({ from }, unit) {
  if (unit === "hour") return `${say("weekday", from)}, ${say("clock", from)}`
  if (unit === "month") return say("month", from)
  return unit === "week" ? `week of ${say("day", from)}` : say("weekday", from)
}

/** @param {string} unit @param {number} many */
const tickOf = (unit, many) => (/** @type {string} */ from) => unit === "month" ? say("month", from).replace(/ .*/, many > 12 ? " ’" + say("month", from).slice(-2) : "") : say("day", from)

/** So many pixels a word below the axis needs, and so many from its middle to the edge. */
const ROOM = 74
const HALF = 22

/**
 * Where the axis is marked, and with which words.
 * @param {string[]} starts of the buckets
 * @param {string} unit
 * @param {number} width
 * @returns {Map<string, string>}
 */
export function marksOf(starts, unit, width) {
  const most = Math.max(2, Math.floor(width / ROOM))
  const step = Math.max(1, Math.ceil(starts.length / most))
  const words = tickOf(unit, starts.length)
  const marks = unit === "hour" ? hoursOf(starts, step) : new Map(starts.filter((_, i) => i % step === 0).map(from => [from, words(from)]))
  // A word whose middle is too near to the end would be cut off there.
  const last = starts.length - Math.max(0, Math.ceil((HALF * starts.length) / width - 0.5))
  for (const from of starts.slice(last)) marks.delete(from)
  return marks
}

/**
 * Hours by the clock, a new day with its name below; where there is no room for half days, days alone.
 * @param {string[]} starts
 * @param {number} step how many there are at least from one mark to the next
 */
function hoursOf(starts, step) {
  const every = [1, 2, 3, 6, 12].find(hours => hours >= step)
  /** @type {Map<string, string>} */
  const marks = new Map()
  let named = ""
  let last = -step
  starts.forEach((from, i) => {
    const day = dayOf(from)
    const isNew = day !== named
    if (every ? hourOf(from) % every : !isNew || i - last < step) return
    marks.set(from, every ? `${say("clock", from)}${isNew ? `\n${say("day", from)}` : ""}` : say("day", from))
    named = day
    last = i
  })
  return marks
}

/**
 * @param {Bucket[]} buckets
 * @param {{ unit: string, measure: Measure, before?: Bucket[] }} how
 * @returns {Picture}
 */
export function bucketPicture(buckets, { unit, measure, before = [] }) {
  const word = MEASURES.find(([name]) => name === measure)?.[1] ?? measure
  const say1 = show(measure)
  const scale = measure.endsWith("Ms") ? HOUR : 1
  const data = buckets.map((bucket, i) => ({ from: bucket.from, value: bucket[measure] / scale, before: before[i] ? before[i][measure] / scale : null,
    title: [bucketName(bucket, unit), `${say1(bucket[measure])} ${bucket[measure] === 1 ? word.toLowerCase().replace(/s$/, "") : word.toLowerCase()}`, ...(before[i] ? [`before: ${say1(before[i][measure])}`] : [])].join("\n") }))
  const top = Math.max(...data.map(one => Math.max(one.value, one.before ?? 0)), 0)
  const most = buckets.reduce((a, b) => (b[measure] > a[measure] ? b : a), buckets[0])
  return {
    title: `${word} per ${unit}`,
    words: `${word} per ${unit}, ${buckets.length} in all. The most: ${say1(most[measure])}, ${bucketName(most, unit)}.`,
    height: 240,
    head: [unit[0].toUpperCase() + unit.slice(1), ...MEASURES.map(([, name]) => name)],
    rows: buckets.map(bucket => [bucketName(bucket, unit), ...MEASURES.map(([name]) => show(name)(bucket[name]))]),
    draw(plot, width) {
      const inset = before.length ? Math.min(5, ((width - 44) / data.length) * 0.18) : 0
      const marks = marksOf(data.map(one => one.from), unit, width)
      return plot.plot({
        ...LOOK, width, height: 240, marginLeft: 40, marginRight: 4, marginTop: 14, marginBottom: unit === "hour" ? 40 : 26,
        x: { type: "band", domain: data.map(one => one.from), padding: data.length > 60 ? 0.1 : 0.22, label: null },
        y: { domain: [0, top || 1], nice: true, label: null },
        marks: [
          plot.gridY({ stroke: "var(--line)", strokeOpacity: 1, ticks: Math.min(4, scale === 1 ? Math.max(1, top) : 4) }),
          plot.axisY({ tickSize: 0, label: null, fill: "var(--muted)", ticks: Math.min(4, scale === 1 ? Math.max(1, top) : 4), tickFormat: scale === 1 ? count : (/** @type {number} */ hours) => top < 1 ? `${Math.round(hours * 60)} m` : `${+hours.toFixed(1)} h` }),
          plot.axisX({ ticks: [...marks.keys()], tickFormat: (/** @type {string} */ from) => marks.get(from), tickSize: 0, label: null, fill: "var(--muted)" }),
          plot.barY(data.filter(one => one.before !== null), { x: "from", y: "before", fill: "var(--line-strong)", fillOpacity: 0.5, rx: 2 }),
          plot.barY(data, { x: "from", y: "value", fill: "var(--accent)", rx: 2, insetLeft: inset, insetRight: inset }),
          plot.ruleY([0], { stroke: "var(--line-strong)" }),
          plot.tip(data, plot.pointerX({ x: "from", y: "value", title: "title", ...TIP })),
        ],
      })
    },
  }
}

/**
 * How long visits were visible.
 * @param {import("../api.js").Bin[]} bins
 * @returns {Picture}
 */
export function durationPicture(bins) {
  const edge = (/** @type {number} */ ms) => ms < 60_000 ? `${ms / 1000} s` : ms < HOUR ? `${ms / 60_000} m` : `${ms / HOUR} h`
  const name = (/** @type {{ fromMs: number, toMs: number | null }} */ { fromMs, toMs }) => toMs === null ? `${edge(fromMs)} or more` : fromMs ? `${edge(fromMs)} to ${edge(toMs)}` : `under ${edge(toMs)}`
  const brief = (/** @type {{ fromMs: number, toMs: number | null }} */ { fromMs, toMs }) => toMs === null ? `≥ ${edge(fromMs)}` : fromMs ? `${edge(fromMs).replace(/ .$/, edge(fromMs).slice(-1) === edge(toMs).slice(-1) ? "" : "$&")}–${edge(toMs)}` : `< ${edge(toMs)}`
  const all = bins.reduce((sum, bin) => sum + bin.visits, 0)
  const data = bins.map(bin => ({ name: brief(bin), visits: bin.visits, label: bin.visits ? share(bin.visits, all) : "", title: `${name(bin)}\n${count(bin.visits)} of ${count(all)} visits` }))
  const most = bins.reduce((a, b) => (b.visits > a.visits ? b : a), bins[0])
  // Where there is no room, a bar is called by where it begins.
  const lower = new Map(bins.map(bin => [brief(bin), bin.fromMs ? `${edge(bin.fromMs)}${bin.toMs === null ? "+" : ""}` : "0"]))
  return {
    title: "How long visits were visible",
    words: `How long ${count(all)} visits were visible. Most often ${name(most)}: ${share(most.visits, all)}.`,
    height: 240,
    head: ["Visible", "Visits", "Share"],
    rows: bins.map(bin => [name(bin), count(bin.visits), share(bin.visits, all)]),
    draw: (plot, width) => plot.plot({
      ...LOOK, width, height: 240, marginLeft: 4, marginRight: 4, marginTop: 22, marginBottom: 26,
      x: { type: "band", domain: data.map(one => one.name), padding: 0.12, label: null },
      y: { domain: [0, Math.max(1, ...data.map(one => one.visits))], axis: null },
      marks: [
        plot.axisX({ tickSize: 0, label: null, fill: "var(--muted)", tickFormat: (/** @type {string} */ one) => width < 480 ? lower.get(one) : one }),
        plot.barY(data, { x: "name", y: "visits", fill: "var(--accent-mid)", rx: 2 }),
        plot.text(data, { x: "name", y: "visits", text: "label", dy: -9, fill: "var(--ink)" }),
        plot.ruleY([0], { stroke: "var(--line-strong)" }),
        plot.tip(data, plot.pointerX({ x: "name", y: "visits", title: "title", ...TIP })),
      ],
    }),
  }
}
