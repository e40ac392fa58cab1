// Instants and days as they are called in the chosen time zone.

const FALLBACK = "UTC"

let zone = FALLBACK
/** @type {Record<string, Intl.DateTimeFormat>} */
let formats = {}

const SHAPES = /** @type {Record<string, Intl.DateTimeFormatOptions>} */ ({
  clock: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  seconds: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  day: { day: "numeric", month: "short" },
  dayYear: { day: "numeric", month: "short", year: "numeric" },
  month: { month: "short", year: "numeric" },
  weekday: { weekday: "short", day: "numeric", month: "short" },
  full: { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short", hourCycle: "h23" },
})

/** @param {string} name */
export function isZone(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }))
  } catch {
    return false
  }
}

/** @param {string} name an IANA zone; everything is told in it from now on */
export function setZone(name) {
  zone = isZone(name) ? name : FALLBACK
  formats = {}
}

export const currentZone = () => zone

/**
 * @param {string} shape
 * @param {Date | string} instant
 */
export function say(shape, instant) {
  const date = new Date(instant)
  if (Number.isNaN(date.getTime())) return "–"
  formats[shape] ??= new Intl.DateTimeFormat(undefined, { ...SHAPES[shape], timeZone: zone })
  return formats[shape].format(date)
}

/**
 * The day an instant is on, as "2026-11-26".
 * @param {Date | string | number} instant
 * @param {string} [where]
 */
export function dayOf(instant, where = zone) {
  formats[`of ${where}`] ??= new Intl.DateTimeFormat("en-CA", { timeZone: where, year: "numeric", month: "2-digit", day: "2-digit" })
  const parts = formats[`of ${where}`].formatToParts(new Date(instant))
  const part = (/** @type {string} */ type) => parts.find(one => one.type === type)?.value ?? ""
  return `${part("year")}-${part("month")}-${part("day")}`
}

/**
 * What the zone's clocks show at an instant, as "03:18:40".
 * @param {Date | string | number} instant
 */
export const clockOf = instant => new Intl.DateTimeFormat("en", { ...SHAPES.seconds, timeZone: zone }).format(new Date(instant))

/**
 * The hour of an instant by the zone's clocks, 0 to 23.
 * @param {string} instant
 */
export const hourOf = instant => Number(new Intl.DateTimeFormat("en", { timeZone: zone, hour: "2-digit", hourCycle: "h23" }).format(new Date(instant)))

const MINUTE = 60_000
const DAY = 1_440

/** Minutes between ticks: parts of a day, then days. */
const STEPS = [15, 30, 60, 120, 180, 360, 720, ...[1, 2, 7, 14, 28, 91, 182, 364].map(days => days * DAY)]

/**
 * Round instants by the zone's clocks, such as 12:00 or midnight, for the axis of a chart.
 * @param {number} from
 * @param {number} to
 * @param {number} most how many there is room for
 */
export function ticksBetween(from, to, most) {
  const step = STEPS.find(minutes => (to - from) / MINUTE / minutes <= most) ?? STEPS[STEPS.length - 1]
  const ticks = []
  for (let day = dayOf(from); day <= dayOf(to); day = shiftDays(day, Math.max(1, step / DAY)))
    for (let minutes = 0; minutes < DAY; minutes += step) ticks.push(instantAt(day, minutes))
  return ticks.filter(at => at >= from && at <= to).map(at => new Date(at))
}

/**
 * @param {string} day
 * @param {number} minutes by the zone's clocks; where they leap over it, an hour later
 */
function instantAt(day, minutes) {
  const read = Date.parse(`${day}T00:00:00Z`) + minutes * MINUTE
  return read - aheadOf(read - aheadOf(read))
}

/** How far the zone's clocks are ahead of UTC. @param {number} at */
const aheadOf = at => Date.parse(`${dayOf(at)}T${clockOf(at)}Z`) - at

/**
 * @param {string} day
 * @param {number} days
 */
export const shiftDays = (day, days) => new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)

/**
 * @param {string} day
 * @param {number} months
 */
export function shiftMonths(day, months) {
  const [year, month, date] = day.split("-").map(Number)
  const last = new Date(Date.UTC(year, month + months, 0)).getUTCDate()
  return new Date(Date.UTC(year, month - 1 + months, Math.min(date, last))).toISOString().slice(0, 10)
}

/**
 * How many days a period has, both ends included.
 * @param {string} from
 * @param {string} to
 */
export const daysIn = (from, to) => Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000) + 1

/**
 * "14:02" today, "3 Mar, 14:02" before, with the year when it is another one.
 * @param {string} instant
 */
export function moment(instant) {
  const today = dayOf(Date.now())
  const day = dayOf(instant)
  if (day === today) return say("clock", instant)
  return `${say(day.slice(0, 4) === today.slice(0, 4) ? "day" : "dayYear", instant)}, ${say("clock", instant)}`
}

/**
 * A day without a time, such as "26 Nov" or "26 Nov 2025".
 * @param {string} day
 */
export function dayWords(day) {
  const date = new Date(`${day}T12:00:00Z`)
  if (Number.isNaN(date.getTime())) return day
  const year = day.slice(0, 4) === dayOf(Date.now()).slice(0, 4)
  return new Intl.DateTimeFormat(undefined, { ...SHAPES[year ? "day" : "dayYear"], timeZone: "UTC" }).format(date)
}

/**
 * An instant beside an earlier one: of the same day, only the clock is said again.
 * @param {string} instant
 * @param {string} [earlier]
 */
const momentAfter = (instant, earlier) => earlier && dayOf(earlier) === dayOf(instant) ? say("clock", instant) : moment(instant)

/**
 * A `<time>`; the exact instant is in `datetime` and in the tooltip.
 * @param {string | null | undefined} instant
 * @param {string} [earlier] what it stands beside
 */
export function timeElement(instant, earlier) {
  const element = document.createElement("time")
  if (!instant || Number.isNaN(Date.parse(instant))) {
    element.textContent = "–"
    return element
  }
  element.dateTime = instant
  element.textContent = momentAfter(instant, earlier)
  element.title = say("full", instant)
  return element
}

/**
 * The same with its day, also where that is today.
 * @param {string | null | undefined} instant
 */
export function dayElement(instant) {
  const element = timeElement(instant)
  if (instant && element.dateTime) element.textContent = `${dayWords(dayOf(instant))}, ${say("clock", instant)}`
  return element
}

/** All zones that this browser knows, the given ones first. @param {string[]} first */
export function zones(first) {
  const all = Intl.supportedValuesOf?.("timeZone") ?? []
  return [...new Set([...first.filter(isZone), FALLBACK, ...all])]
}
