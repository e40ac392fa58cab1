// The filter as it is in the address: one syntax for the dashboard, the API, the command line and exports.

import { clockOf, dayOf, dayWords, daysIn, shiftDays, shiftMonths } from "./times.js"

export const KEYS = /** @type {const} */ (["visitor", "page", "from", "to", "zone", "min", "max", "ended", "with", "verified"])

/** @typedef {Record<typeof KEYS[number], string>} Filter "" is not set */

/** @typedef {"today" | "7d" | "30d" | "12m" | "all"} Preset */

/** @type {[Preset, string][]} */
export const PRESETS = [["today", "Today"], ["7d", "7 days"], ["30d", "30 days"], ["12m", "12 months"], ["all", "All time"]]

/** How a visit can have ended, as the glossary calls it. @type {[string, string][]} */
export const ENDINGS = [
  ["here", "still here"], ["leave", "left"], ["idle", "idle"], ["absolute", "time limit"], ["signed_out", "signed out"], ["revoked", "revoked"],
  ["replaced", "replaced"], ["lost", "lost"], ["away", "away"], ["token_reuse", "token reuse"], ["provider", "provider"],
]

/**
 * @param {URLSearchParams} query
 * @returns {Filter}
 */
export const readFilter = query => /** @type {Filter} */ (Object.fromEntries(KEYS.map(key => [key, query.get(key)?.trim() ?? ""])))

/**
 * What is set, in the address's order.
 * @param {Partial<Filter>} filter
 */
export function toQuery(filter) {
  const query = new URLSearchParams()
  for (const key of KEYS) if (filter[key]) query.set(key, filter[key])
  return query
}

/**
 * @param {string} path
 * @param {Partial<Filter>} filter
 * @param {Record<string, string>} [more] what else belongs into the address
 */
export function address(path, filter, more = {}) {
  const query = toQuery(filter)
  for (const [key, value] of Object.entries(more)) if (value) query.set(key, value)
  return query.size ? `${path}?${query}` : path
}

/**
 * The days of a preset, both included.
 * @param {Preset} preset
 * @param {string} today
 */
export function periodOf(preset, today) {
  const from = { "today": today, "7d": shiftDays(today, -6), "30d": shiftDays(today, -29), "12m": shiftDays(shiftMonths(today, -12), 1), "all": "" }[preset]
  return { from, to: preset === "all" ? "" : today }
}

/**
 * Which preset a filter's period is, or null for one of its own.
 * @param {Filter} filter
 * @param {string} today
 */
export function presetOf({ from, to }, today) {
  return PRESETS.find(([preset]) => {
    const period = periodOf(preset, today)
    return period.from === from && period.to === to
  })?.[0] ?? null
}

/** Stretches of the calendar. */
export const UNITS = ["hour", "day", "week", "month"]

const DAY = /^\d{4}-\d\d-\d\d$/

/** A moment by the clocks of the zone that the filter names. */
const CLOCK = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d$/

/**
 * The period of the same length just before, or null where the filter has none. What is not over yet is set against as much of the one before.
 * @param {Filter} filter
 * @param {number} [now] ms since 1970
 * @returns {Filter | null}
 */
export function previous(filter, now = Date.now()) {
  const today = dayOf(now)
  const to = filter.to || (filter.from ? today : "")
  if (!DAY.test(filter.from) || !DAY.test(to)) return null
  const days = daysIn(filter.from, to)
  if (days < 1) return null
  const from = shiftDays(filter.from, -days)
  if (to < today) return { ...filter, from, to: shiftDays(to, -days) }
  const until = `${shiftDays(today, -days)}T${clockOf(now)}`
  return until > `${from}T00:00:00` ? { ...filter, from, to: until } : null
}

/**
 * "1–30 Nov" in words.
 * @param {Pick<Filter, "from" | "to">} filter
 * @returns {string}
 */
export function periodWords({ from, to }) {
  const [, day, clock] = CLOCK.exec(to) ?? []
  if (day) return `${periodWords({ from, to: day })} until ${clock}`
  const one = (/** @type {string} */ bound) => DAY.test(bound) ? dayWords(bound) : bound
  if (!from && !to) return "all time"
  if (from === to) return one(from)
  if (!to) return `since ${one(from)}`
  return from ? `${one(from)} to ${one(to)}` : `until ${one(to)}`
}

/**
 * What narrows the list besides the period and the zone, as words to show and keys to take away.
 * @param {Filter} filter
 * @returns {{ key: keyof Filter, label: string, value: string }[]}
 */
export function narrowings(filter) {
  const kinds = new Map(ENDINGS)
  const ended = filter.ended.split(",").map(kind => kinds.get(kind) ?? kind).join(", ")
  const all = /** @type {[keyof Filter, string, string][]} */ ([
    ["visitor", "Visitor", filter.visitor], ["page", "Page", filter.page], ["min", "At least", filter.min], ["max", "At most", filter.max],
    ["ended", "Ended", ended], ["with", "Also", filter.with.replaceAll(",", ", ")], ["verified", "Verified", filter.verified && (filter.verified === "true" ? "only" : filter.verified)],
  ])
  return all.filter(([, , value]) => value).map(([key, label, value]) => ({ key, label, value }))
}

/**
 * The buckets that suit a period.
 * @param {Filter} filter
 * @returns {"hour" | "day" | "week" | "month"}
 */
export function unitFor({ from, to }) {
  if (!DAY.test(from)) return "month"
  const days = daysIn(from, DAY.test(to) ? to : dayOf(Date.now()))
  return days <= 2 ? "hour" : days <= 93 ? "day" : days <= 400 ? "week" : "month"
}

/**
 * All that is filtered by, in words: the period, the zone its days are in, and what narrows it.
 * @param {Filter} filter
 * @param {string} zone
 */
export const filterWords = (filter, zone) =>
  [`${periodWords(filter)}, days of ${zone}`, ...narrowings(filter).map(({ label, value }) => `${label.toLowerCase()} ${value}`)].join("; ")

/**
 * What to do where a filter lets nothing through; otherwise why there is nothing.
 * @param {Filter} filter
 * @param {string} otherwise
 */
export function wayOut(filter, otherwise) {
  const narrowed = narrowings(filter).length > 0
  if (filter.from || filter.to) return narrowed ? "Take a longer period, or clear the filter." : "Take a longer period."
  return narrowed ? "Clear the filter to see more." : otherwise
}
