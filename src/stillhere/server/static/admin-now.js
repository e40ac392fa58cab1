// Who is here now.

import { endSession } from "./admin-api.js"
import { cell, endingWord, standIn } from "./admin-parts.js"
import { byId, el, reconcile, setText } from "./dom.js"
import { ago, count, duration, plural, remaining } from "./format.js"

/** @typedef {import("./admin-api.js").Here} Here */

const JUST_LEFT_MS = 60_000

/** @param {Here} here */
function standing(here) {
  if (here.present) return here.state === "expiring" ? "expiring" : "here"
  return here.left && here.lastSeenMs < JUST_LEFT_MS ? "left" : "background"
}

const ORDER = { here: 0, expiring: 0, left: 1, background: 2 }
const DOTS = { here: "dot live", expiring: "dot warm", left: "dot off", background: "dot off" }

/** One line of the table; keeps its element while the person is here. */
class HereRow {
  /** @param {Here} here */
  constructor(here) {
    this.here = here
    this.arrived = performance.now()
    this.dot = el("span", { class: "dot", "aria-hidden": "true" })
    this.name = el("span")
    this.note = el("span", { class: "sub" })
    this.title = el("span")
    this.path = el("span", { class: "sub" })
    this.visible = cell("right", "Visible")
    this.active = cell("right", "Active")
    this.last = cell("right", "Last action")
    this.fill = el("span")
    this.bar = el("div", { class: "bar", "aria-hidden": "true" }, this.fill)
    this.left = el("span")
    this.end = el("button", { type: "button", class: "button slim danger", onclick: () => askToEnd(this.here) }, "End session")
    this.element = el("tr", { role: "row" },
      cell("cut", "", el("div", { class: "person" }, this.dot, this.name), this.note),
      cell("cut", "", this.title, this.path),
      this.visible, this.active, this.last,
      cell("deadline-cell", "", this.bar, el("div", { class: "left" }, this.left)),
      cell("act-cell", "", this.end))
  }

  /** @param {Here} here */
  update(here) {
    this.here = here
    this.arrived = performance.now()
    const how = standing(here)
    this.dot.className = DOTS[how]
    this.element.classList.toggle("away", how === "left" || how === "background")
    setText(this.name, here.visitor)
    this.name.title = here.visitor
    this.name.setAttribute("aria-label", `${here.visitor}, ${how}`)
    this.end.setAttribute("aria-label", `End the session of ${here.visitor}`)
    setText(this.title, here.title || here.page || "–")
    this.title.title = here.title ?? ""
    setText(this.path, here.title ? here.page ?? "" : "")
    setText(this.visible, duration(here.visibleMs))
    setText(this.active, duration(here.activeMs))
    this.tick()
  }

  /** What moves between two answers. */
  tick() {
    const since = performance.now() - this.arrived
    const { lastActiveMs, lastSeenMs, expiresInMs, tabs } = this.here
    const how = standing(this.here)
    const idle = lastActiveMs + since
    const left = Math.max(0, expiresInMs - since)
    const warm = this.here.state === "expiring"
    setText(this.last, ago(idle))
    this.fill.style.width = `${(100 * left) / Math.max(1, left + idle)}%`
    this.bar.className = warm ? "bar warm" : "bar"
    const over = this.here.state === "ended"
    this.bar.hidden = this.end.hidden = over
    setText(this.left, over ? `session over, ${endingWord(this.here.endedBy ?? "")}` : left > 0 ? `${remaining(left)} left` : "due now")
    setText(this.note, how === "left" ? `just left, ${ago(lastSeenMs + since)}`
      : how === "background" ? `in the background, seen ${ago(lastSeenMs + since)}`
      : tabs > 1 ? plural(tabs, "tab") : "")
    this.note.hidden = !this.note.textContent
  }
}

/** @type {Map<string, HereRow>} */
const rows = new Map()

/** @param {import("./admin-api.js").Now} now */
export function showNow({ here, totals }) {
  const sorted = [...here].sort((a, b) => ORDER[standing(a)] - ORDER[standing(b)] || (a.startedAt < b.startedAt ? 1 : -1))
  const body = byId("here-rows")
  reconcile(body, rows, sorted, one => one.session, one => new HereRow(one))
  body.setAttribute("aria-busy", "false")
  standIn(byId("here-empty"), here.length ? null : "Nobody is here. As soon as somebody opens a page, they appear.")
  setText(byId("total-here"), count(totals.here))
  setText(byId("total-sessions"), count(totals.sessions))
  setText(byId("total-visits"), count(totals.visitsToday))
  setText(byId("total-visible"), duration(totals.visibleTodayMs))
  setText(byId("total-median"), totals.visitsToday ? duration(totals.medianVisibleTodayMs) : "–")
  const away = here.filter(one => standing(one) === "background").length
  setText(byId("here-note"), away ? `${plural(away, "session")} without a page on screen` : "")
  document.title = document.title.replace(/^(\(\d+\) )?/, totals.here ? `(${totals.here}) ` : "")
}

/** Moves the clocks between two answers. */
export function tickNow() {
  for (const row of rows.values()) row.tick()
}

/** The session the open dialog is about. */
let asked = /** @type {Here | null} */ (null)
let afterEnd = () => {}
const dialog = () => /** @type {HTMLDialogElement} */ (byId("confirm"))

/** @param {Here} here */
function askToEnd(here) {
  asked = here
  setText(byId("confirm-text"), `${here.visitor} is signed out everywhere this session is open, and has to sign in again. What they did until now stays recorded.`)
  setText(byId("confirm-error"), "")
  dialog().showModal()
}

/** @param {() => void} ended what to do once a session was ended */
export function startConfirm(ended) {
  afterEnd = ended
  const yes = byId("confirm-yes")
  byId("confirm-no").addEventListener("click", () => dialog().close())
  dialog().addEventListener("click", event => { if (event.target === dialog()) dialog().close() })
  yes.addEventListener("click", async () => {
    if (!asked || yes.getAttribute("aria-disabled") === "true") return
    yes.setAttribute("aria-disabled", "true")
    try {
      await endSession(asked.session)
      dialog().close()
      afterEnd()
    } catch (error) {
      setText(byId("confirm-error"), `Not ended: ${error instanceof Error ? error.message : "unknown trouble"}. Try again.`)
    } finally {
      yes.removeAttribute("aria-disabled")
    }
  })
}
