// What an address says that cannot be read, and what it says that nothing here reads.

import { USES } from "./filterbar.js"
import { ENDINGS, KEYS, UNITS } from "./filters.js"
import { seen } from "./parts.js"
import { isZone } from "./times.js"

/** @typedef {import("./filters.js").Filter} Filter */
/** @typedef {import("./router.js").Place} Place */

const DAY = /^\d{4}-\d\d-\d\d$/
const SPAN = /^\d{1,9}(\.\d{1,3})?\s*(ms|s|m|h|d)$/
const LONGEST = 40

/** @param {string} word */
const quoted = word => `“${seen(word.length > LONGEST ? `${word.slice(0, LONGEST)}…` : word)}”`

/** @param {string} text */
function isDay(text) {
  const at = Date.parse(`${text}T00:00:00Z`)
  return Number.isFinite(at) && new Date(at).toISOString().startsWith(text)
}

/** An instant is the server's to judge. @param {string} text */
const isBound = text => DAY.test(text) ? isDay(text) : /^\d{4}.*T/.test(text)

const isListOf = (/** @type {string[]} */ known) => (/** @type {string} */ text) => text.split(/[,|]/).every(word => !word.trim() || known.includes(word.trim()))

/** @type {Record<string, [isRight: (text: string) => boolean, words: (text: string) => string]>} */
const RULES = {
  from: [isBound, text => `${quoted(text)} is no day. Write it like 2026-11-30.`],
  to: [isBound, text => `${quoted(text)} is no day. Write it like 2026-11-30.`],
  zone: [isZone, text => `There is no time zone ${quoted(text)}. Choose one from the list.`],
  min: [text => SPAN.test(text), text => `${quoted(text)} is no length of time. Write it like 30s, 5m or 1h.`],
  max: [text => SPAN.test(text), text => `${quoted(text)} is no length of time. Write it like 30s, 5m or 1h.`],
  ended: [isListOf(ENDINGS.map(([kind]) => kind)), text => `No visit ends with ${quoted(text)}. Choose how from the list.`],
  with: [isListOf(["internal", "excluded"]), text => `${quoted(text)} can’t be added. Internal and excluded visits can.`],
  verified: [text => text === "true" || text === "false", text => `Verified is true or false, and not ${quoted(text)}.`],
}

/** What says how a view shows things, and by which words. @type {Partial<Record<Place["name"], Record<string, string[]>>>} */
const SHOWS = {
  visitors: { sort: ["last", "visible", "visits"] },
  time: { unit: UNITS, measure: ["visits", "visitors", "visibleMs", "activeMs"] },
}

const usesOf = (/** @type {Place} */ { name }) => USES[name] === "all" ? KEYS : /** @type {const} */ (["zone"])

/**
 * The first word of the filter that cannot be read, or null.
 * @param {Place} place
 * @param {Filter} filter
 * @returns {keyof Filter | null}
 */
export function faultOf(place, filter) {
  const wrong = usesOf(place).find(key => filter[key] && RULES[key] && !RULES[key][0](filter[key]))
  if (wrong) return wrong
  const { from, to } = filter
  return USES[place.name] === "all" && DAY.test(from) && DAY.test(to) && to < from ? "to" : null
}

/**
 * What is wrong with a word of the filter, and what to write.
 * @param {string} key
 * @param {Filter} filter
 */
export function faultWords(key, filter) {
  const text = filter[/** @type {keyof Filter} */ (key)] ?? ""
  if (key === "to" && isBound(text) && isBound(filter.from) && text < filter.from) return "The period ends before it begins. Let it end later."
  return RULES[key]?.[1](text) ?? `${quoted(text)} can’t be looked for.`
}

/**
 * Words of the address that nothing here reads, as they are there.
 * @param {Place} place
 */
export function ignored(place) {
  const known = SHOWS[place.name] ?? {}
  const reads = new Set([...usesOf(place), ...Object.keys(known)])
  return [...place.query].filter(([key, word]) => word && (!reads.has(key) || (known[key] && !known[key].includes(word))))
    .map(([key, word]) => ({ key, words: seen(known[key] ? `${key}=${word}` : key).slice(0, LONGEST) }))
}
