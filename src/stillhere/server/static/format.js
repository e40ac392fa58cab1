// How numbers and times read to people. Everything that is shown goes through here, so it reads the same everywhere.

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const NBSP = "\u00a0"

/** @param {number} n */
const two = n => String(n).padStart(2, "0")

/**
 * A length of time in its two largest units: "8 s", "12 m 40 s", "2 h 05 m", "3 d 04 h".
 * @param {number | null | undefined} ms
 * @param {{ minute?: string }} [words] `minute` is "m" unless told otherwise
 */
export function duration(ms, { minute = "m" } = {}) {
  if (ms == null || !Number.isFinite(ms)) return "–"
  const t = Math.max(0, Math.floor(ms / SECOND)) * SECOND
  if (t < MINUTE) return `${t / SECOND}${NBSP}s`
  const [big, small, bigWord, smallWord] =
    t < HOUR ? [t / MINUTE, (t % MINUTE) / SECOND, minute, "s"]
    : t < DAY ? [t / HOUR, (t % HOUR) / MINUTE, "h", minute]
    : [t / DAY, (t % DAY) / HOUR, "d", "h"]
  return `${Math.floor(big)}${NBSP}${bigWord}${NBSP}${two(Math.floor(small))}${NBSP}${smallWord}`
}

/**
 * The same without a second unit that is nothing: "5 m", "1 m 30 s".
 * @param {number | null | undefined} ms
 */
export const brief = ms => duration(ms).replace(/\u00a000\u00a0.$/, "")

/**
 * What is left of a countdown, rounded up so that it shows 0 only when nothing is left.
 * @param {number | null | undefined} ms
 */
export const remaining = ms => duration(ms == null ? ms : Math.ceil(Math.max(0, ms) / SECOND) * SECOND)

/**
 * What may be missing at most: rounded up by the unit it is told in, for a bound is never told smaller than it is.
 * @param {number | null | undefined} ms
 */
export function atMost(ms) {
  if (ms == null) return "–"
  const unit = ms < HOUR ? SECOND : ms < DAY ? MINUTE : HOUR
  return ms > 0 ? `≤${NBSP}${duration(Math.ceil(ms / unit) * unit)}` : "nothing"
}

/**
 * "8 s ago", "now".
 * @param {number | null | undefined} ms
 */
export function ago(ms) {
  if (ms == null || !Number.isFinite(ms)) return "–"
  return ms < SECOND ? "now" : `${duration(ms)} ago`
}

/** @param {number | null | undefined} value 0 to 100 */
export const percent = value => (value == null ? "–" : `${Math.round(value)}${NBSP}%`)

/**
 * How much of a whole something is: nothing only where it is nothing.
 * @param {number} part
 * @param {number} whole
 */
export const share = (part, whole) => part > 0 && 200 * part < whole ? `<${NBSP}1${NBSP}%` : percent(whole ? (100 * part) / whole : 0)

/** @param {number} value */
export const count = value => Number.isFinite(value) ? new Intl.NumberFormat().format(value) : "–"

/**
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (n, one, many = `${one}s`) => `${count(n)}${NBSP}${n === 1 ? one : many}`

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" })
const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false })
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" })
const dayYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" })

/** @param {Date} date */
export const clockTime = date => clockSeconds.format(date)

/**
 * "14:02" today, "3 Mar, 14:02" before, with the year when it is another one.
 * @param {Date} date
 * @param {Date} [now]
 */
export function moment(date, now = new Date()) {
  if (date.toDateString() === now.toDateString()) return clock.format(date)
  const short = date.getFullYear() === now.getFullYear() ? day : dayYear
  return `${short.format(date)}, ${clock.format(date)}`
}

/**
 * A `<time>` in the reader's own zone; the exact instant is in `datetime` and in the tooltip.
 * @param {string | null | undefined} iso
 */
export function timeElement(iso) {
  const element = document.createElement("time")
  const date = iso ? new Date(iso) : null
  if (!iso || !date || Number.isNaN(date.getTime())) {
    element.textContent = "–"
    return element
  }
  element.dateTime = iso
  element.textContent = moment(date)
  element.title = full.format(date)
  return element
}
