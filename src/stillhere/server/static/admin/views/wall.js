// The wall: who is here, to be read from across a room.

import { el, reconcile, refill, setText } from "../../dom.js"
import { ago, count, duration, plural } from "../../format.js"
import { read } from "../api.js"
import { crowdPicture } from "../charts/crowd.js"
import { Chart } from "../charts/plot.js"
import { foreign } from "../parts.js"
import { currentZone, dayOf, say } from "../times.js"
import { DOTS, sorted, standing, visibleFor } from "./now.js"
import { ofToday } from "./today.js"

/** @typedef {import("../api.js").Here} Here */
/** @typedef {import("../api.js").Now} Now */

const MOST = 14
const CHART_EVERY_S = 60

class WallRow {
  constructor() {
    this.dot = el("span", { class: "dot", "aria-hidden": "true" })
    this.name = el("span", { class: "wall-name" })
    this.page = el("span", { class: "wall-page" })
    this.time = el("span", { class: "wall-time num" })
    this.element = el("li", {}, this.dot, el("div", { class: "wall-who" }, this.name, this.page), this.time)
    this.arrived = 0
    this.here = /** @type {Here | null} */ (null)
  }

  /** @param {Here} here */
  update(here) {
    this.here = here
    this.arrived = performance.now()
    const how = standing(here)
    this.dot.className = DOTS[how]
    this.element.className = how === "here" || how === "expiring" ? "" : "away"
    if (this.name.textContent !== here.visitor) this.name.replaceChildren(foreign(here.visitor))
    const page = here.title || here.page || "–"
    if (this.page.textContent !== page) this.page.replaceChildren(foreign(page))
    this.tick()
  }

  tick() {
    if (!this.here) return
    const since = performance.now() - this.arrived
    setText(this.time, this.here.present ? duration(visibleFor(this.here, since)) : this.here.left ? `left ${ago(this.here.lastSeenMs + since)}` : "away")
  }
}

/** Keeps the screen on while the wall is shown, where the browser can. @param {AbortSignal} signal */
async function stayAwake(signal) {
  try {
    const lock = await navigator.wakeLock?.request("screen")
    if (signal.aborted) await lock?.release()
    else signal.addEventListener("abort", () => void lock?.release(), { once: true })
  } catch {
    // A battery that is low, or a policy: the wall works without.
  }
}

/**
 * @param {import("../stage.js").Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const { signal } = context
  /** @type {Map<string, WallRow>} */
  const rows = new Map()
  const big = el("strong", { class: "wall-count num" }, "–")
  const word = el("span", { class: "wall-word" }, "here now")
  const clock = el("time", { class: "wall-clock num" })
  const list = el("ol", { class: "wall-list" })
  const rest = el("p", { class: "muted wall-rest" })
  const numbers = el("p", { class: "wall-numbers num" })
  const picture = el("div", { class: "wall-chart" })
  const crowd = new Chart()
  const full = el("button", { type: "button", class: "button slim", onclick: () => document.fullscreenElement ? void document.exitFullscreen() : void document.documentElement.requestFullscreen?.() }, "Full screen")
  const element = el("div", { class: "view wall-view" },
    el("header", { class: "wall-head" }, el("h1", { tabindex: -1, class: "visually-hidden" }, "Wall"),
      el("p", { class: "wall-sum" }, big, " ", word), clock, el("span", { class: "row wall-tools" }, full, el("a", { class: "button slim", href: "/admin" }, "Back"))),
    el("div", { class: "wall-body" }, el("div", {}, list, rest), el("div", { class: "wall-side" }, numbers, picture)))

  const sums = ofToday(context, ({ visitsToday, visibleTodayMs }) => setText(numbers, `${plural(visitsToday, "visit")} today · ${duration(visibleTodayMs)} visible`))
  /** @param {Now} now */
  const onNow = ({ here, totals }) => {
    setText(big, count(totals.here))
    const shown = sorted(here).slice(0, MOST)
    reconcile(list, rows, shown, one => one.session, () => new WallRow())
    setText(rest, here.length > shown.length ? `and ${count(here.length - shown.length)} more` : here.length ? "" : "Nobody is here. As soon as somebody opens a page, they appear.")
    sums(totals)
  }
  const chart = async () => {
    const day = dayOf(Date.now())
    const { points, peak } = await read("simultaneous", { from: day, to: day, zone: currentZone() }, signal)
    refill(picture, points.length > 0 && peak?.visitors > 0 && crowd.show(crowdPicture(points, peak, { height: 260 })))
  }
  let seconds = 0
  const tick = () => {
    const now = new Date()
    clock.dateTime = now.toISOString()
    setText(clock, say("clock", now))
    for (const row of rows.values()) row.tick()
    if (++seconds % CHART_EVERY_S === 0) void chart().catch(() => {})
  }
  tick()
  void stayAwake(signal)
  return {
    title: "Wall",
    element,
    onNow,
    tick,
    async load() {
      onNow(context.now() ?? await read("now", {}, signal))
      await chart()
    },
  }
}
