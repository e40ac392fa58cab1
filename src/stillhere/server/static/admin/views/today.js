// Today's numbers, of the day of the zone that is shown.

import { read } from "../api.js"
import { currentZone, dayOf } from "../times.js"

/** @typedef {import("../api.js").Now["totals"]} Totals */
/** @typedef {Pick<Totals, "visitsToday" | "visibleTodayMs" | "medianVisibleTodayMs">} Day */

const PAUSE_MS = 2_000
const UNKNOWN = { visitsToday: NaN, visibleTodayMs: NaN, medianVisibleTodayMs: NaN }

/**
 * The server adds up its own day. Where other clocks are shown, theirs is asked for, a moment after each change.
 * @param {import("../stage.js").Context} context
 * @param {(totals: Totals) => void} show
 * @returns {(totals: Totals) => void}
 */
export function ofToday({ me, signal }, show) {
  const zone = currentZone()
  if (zone === me.zone) return show
  let due = 0
  /** @type {Day} */
  let day = UNKNOWN
  /** @type {Totals} */
  let latest
  const ask = async () => {
    const today = dayOf(Date.now())
    const { visits, visibleMs, visible } = await read("totals", { from: today, to: today, zone }, signal)
    day = { visitsToday: visits, visibleTodayMs: visibleMs, medianVisibleTodayMs: visible.median }
    show({ ...latest, ...day })
  }
  return totals => {
    latest = totals
    show({ ...totals, ...day })
    clearTimeout(due)
    due = window.setTimeout(() => void ask().catch(() => {}), day === UNKNOWN ? 0 : PAUSE_MS)
  }
}
