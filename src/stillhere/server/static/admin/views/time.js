// Time: visits per hour, day, week or month; how long they were; how many at once; and how that compares with the period before.

import { el, refill, setText } from "../../dom.js"
import { count, duration } from "../../format.js"
import { read } from "../api.js"
import { MEASURES, bucketPicture, durationPicture } from "../charts/bars.js"
import { crowdPicture } from "../charts/crowd.js"
import { Chart } from "../charts/plot.js"
import { exportButton } from "../export.js"
import { asked as askedFor } from "../filterbar.js"
import { UNITS, address, periodWords, previous, unitFor, wayOut } from "../filters.js"
import { blank, skeleton, term } from "../parts.js"
import { frame } from "../stage.js"
import { SLOWLY_MS, follow } from "./visits.js"

/** @typedef {import("../api.js").Totals} Totals */
/** @typedef {import("../api.js").Bucket} Bucket */
/** @typedef {import("../stage.js").Context} Context */

/**
 * How a number compares with the one before: absolute and per cent.
 * @param {number | null} now
 * @param {number | null} before
 * @param {(value: number) => string} show
 */
export function change(now, before, show) {
  if (now === null || before === null) return { tone: "same", words: "nothing to compare with" }
  const by = now - before
  if (!by) return { tone: "same", words: "as before" }
  const share = before ? ` (${by > 0 ? "+" : "−"}${count(Math.round((100 * Math.abs(by)) / before))} %)` : ""
  return { tone: by > 0 ? "up" : "down", words: `${by > 0 ? "+" : "−"}${show(Math.abs(by))}${share}` }
}

/**
 * @param {Totals} now
 * @param {Totals | null} before
 */
function comparison(now, before) {
  const lines = /** @type {[string, string, number | null, number | null, (value: number) => string][]} */ ([
    ["visits-of", "Visits", now.visits, before?.visits ?? null, count],
    ["visitors-of", "Visitors", now.visitors, before?.visitors ?? null, count],
    ["visible", "Visible", now.visibleMs, before?.visibleMs ?? null, duration],
    ["active", "Active", now.activeMs, before?.activeMs ?? null, duration],
    ["median-of", "Median visit", now.visible.median, before?.visible.median ?? null, duration],
  ])
  return el("dl", { class: "figures num", "aria-label": "This period, compared with the one before" }, ...lines.map(([id, word, value, was, show]) => {
    const { tone, words } = change(value, was, show)
    return el("div", {}, el("dt", {}, term(id, word)), el("dd", {}, value === null ? "–" : show(value),
      before ? el("span", { class: `note change ${tone}`, title: was === null ? null : `before: ${show(was)}` }, words) : null))
  }))
}

/**
 * @param {string} label
 * @param {[string, string, string][]} options value, words, address
 * @param {string} chosen
 */
const segments = (label, options, chosen) => el("nav", { class: "segments", "aria-label": label }, ...options.map(([value, words, href]) =>
  el("a", { class: "segment", href, "aria-current": value === chosen ? "true" : null }, words)))

/**
 * What is counted, and per what.
 * @param {Context} context
 * @param {{ unit: string, wanted: string, measure: string }} how wanted: the unit that the address names
 */
function chartTools({ filter, place }, { unit, wanted, measure }) {
  const here = (/** @type {Record<string, string>} */ more) => address(place.path, filter, { unit: wanted, measure: measure === "visits" ? "" : measure, ...more })
  return el("div", { class: "row chart-tools no-print" },
    segments("What is counted", MEASURES.map(([name, words]) => [name, words, here({ measure: name === "visits" ? "" : name })]), measure),
    segments("Per", UNITS.map(name => [name, name[0].toUpperCase() + name.slice(1), here({ unit: name })]), unit))
}

/** What the colours of the bars mean. */
const barsKey = () => el("p", { class: "key small muted", "aria-hidden": "true" }, el("span", { class: "swatch active" }), "this period ", el("span", { class: "swatch open" }), "the one before")

/**
 * Everything that is shown, asked for at once.
 * @param {Context} context
 * @param {URLSearchParams | null} before the period before
 * @param {string} unit
 */
function numbersOf({ asked, signal }, before, unit) {
  const inUnits = (/** @type {URLSearchParams} */ query) => new URLSearchParams([...query, ["unit", unit]])
  return Promise.all([
    read("totals", asked, signal), before && read("totals", before, signal), read("buckets", inUnits(asked), signal),
    before && read("buckets", inUnits(before), signal), read("durations", asked, signal), read("simultaneous", asked, signal),
  ])
}

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const { filter, place } = context
  const wanted = place.query.get("unit") ?? ""
  const unit = UNITS.includes(wanted) ? wanted : unitFor(filter)
  const measure = MEASURES.find(([name]) => name === place.query.get("measure"))?.[0] ?? "visits"
  const sums = el("div", { class: "numbers" }, skeleton(1, "figures"))
  const bars = el("div", {}, skeleton(1, "chart"))
  const lengths = el("div", {}, skeleton(1, "chart"))
  const crowd = el("div", {}, skeleton(1, "chart"))
  const [perUnit, perLength, together, key] = [new Chart(), new Chart(), new Chart(), barsKey()]
  const lede = el("span", {}, "\u00a0")
  const element = frame("Time", { beside: [exportButton(context, "visits")], lede },
    sums, el("section", {}, chartTools(context, { unit, wanted, measure }), bars), el("div", { class: "pair-of-charts" }, lengths, crowd))

  const load = async () => {
    const earlier = previous(filter)
    setText(lede, earlier ? `Compared with the period before, ${periodWords(earlier)}.` : "Choose a period with a beginning to compare it with the one before.")
    const [now, was, { buckets }, old, { bins }, { points, peak }] = await numbersOf(context, earlier && askedFor(earlier), unit)
    refill(sums, comparison(now, was))
    const any = now.visits > 0
    if (any && buckets.length) refill(bars, perUnit.show(bucketPicture(buckets, { unit, measure, before: old?.buckets })), old ? key : null)
    else refill(bars, blank("No visit", wayOut(filter, "The first one appears here when somebody reads a page.")))
    refill(lengths, any && perLength.show(durationPicture(bins)))
    refill(crowd, any && points.length > 0 && together.show(crowdPicture(points, peak)))
  }
  return { title: "Time", element, load, ...follow({ load }, { pause: SLOWLY_MS }) }
}
