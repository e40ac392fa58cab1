// Who is here now.

import { el, reconcile, refill, setText } from "../../dom.js"
import { ago, count, duration, plural, remaining } from "../../format.js"
import { act, read } from "../api.js"
import { confirm } from "../confirm.js"
import { address } from "../filters.js"
import { badges, blank, endingWord, figures, pageName, sectionHead, seen, sized, skeleton, term, visitorLink } from "../parts.js"
import { Sheet } from "../sheet.js"
import { frame } from "../stage.js"
import { ofToday } from "./today.js"
import { visitSheet } from "./visits.js"

/** @typedef {import("../api.js").Here} Here */
/** @typedef {import("../api.js").Now} Now */
/** @typedef {import("../stage.js").Context} Context */

const JUST_LEFT_MS = 60_000
const RECENT = "8"

/** @param {Here} here */
export function standing(here) {
  if (here.present) return here.state === "expiring" ? "expiring" : "here"
  return here.left && here.lastSeenMs < JUST_LEFT_MS ? "left" : "background"
}

const ORDER = { here: 0, expiring: 0, left: 1, background: 2 }
export const DOTS = { here: "dot live", expiring: "dot warm", left: "dot off", background: "dot off" }

/** Those on screen first, the newest of them on top. @param {Here[]} here */
export const sorted = here => [...here].sort((a, b) => ORDER[standing(a)] - ORDER[standing(b)] || (a.startedAt < b.startedAt ? 1 : -1))

/**
 * For how long a page has been on screen: what was told, and what has passed since then for who is still looking.
 * @param {Here} here
 * @param {number} since ms since this was told
 */
export const visibleFor = ({ visibleMs, lastSeenMs, present, onScreen }, since) => visibleMs + (present && onScreen !== false ? lastSeenMs + since : 0)

/**
 * @param {string} className
 * @param {string} label
 * @param {...import("../../dom.js").Child} children
 */
const cell = (className, label, ...children) => el("td", { role: "cell", class: className, "data-label": label || null }, ...children)

/** One line of the table; keeps its element while the person is here, and moves its clocks between two messages. */
class HereRow {
  /**
   * @param {Here} here
   * @param {Context} context
   */
  constructor(here, context) {
    this.context = context
    this.here = here
    this.arrived = performance.now()
    this.dot = el("span", { class: "dot", "aria-hidden": "true" })
    this.name = el("span", { class: "person" })
    this.note = el("span", { class: "sub" })
    this.page = cell("cut", "")
    this.visible = cell("right", "Visible")
    this.active = cell("right", "Active")
    this.last = cell("right", "Last action")
    this.fill = el("span")
    this.bar = el("div", { class: "bar whole", "aria-hidden": "true" }, this.fill)
    this.left = el("span")
    this.end = context.me.role === "operator" ? el("button", { type: "button", class: "button slim danger", onclick: () => askToEnd(this.here, context.refresh) }, "End session") : null
    this.element = el("tr", { role: "row" },
      cell("cut", "", this.name, this.note), this.page, this.visible, this.active, this.last,
      cell("deadline-cell", "", this.bar, el("div", { class: "left" }, this.left)),
      cell("act-cell", "", this.end))
    this.shown = ""
  }

  /** @param {Here} here */
  update(here) {
    this.here = here
    this.arrived = performance.now()
    const how = standing(here)
    this.dot.className = DOTS[how]
    this.element.className = how === "left" || how === "background" ? "away" : ""
    const words = JSON.stringify([here.visitor, here.page, here.title, here.verified, here.internal, here.device])
    if (words !== this.shown) {
      this.shown = words
      refill(this.name, this.dot, visitorLink(here.visitor), ...badges(here))
      refill(this.page, ...pageName(here.page, here.title))
      this.end?.setAttribute("aria-label", `End session of ${seen(here.visitor)}`)
    }
    this.tick()
  }

  /** What moves between two messages. */
  tick() {
    const since = performance.now() - this.arrived
    const { lastActiveMs, lastSeenMs, expiresInMs, tabs, state, endedBy, device, activeMs } = this.here
    const how = standing(this.here)
    const idle = lastActiveMs + since
    const left = Math.max(0, expiresInMs - since)
    const over = state === "ended"
    setText(this.visible, duration(visibleFor(this.here, since)))
    setText(this.active, duration(activeMs))
    setText(this.last, ago(idle))
    sized(this.fill, (100 * left) / Math.max(1, left + idle))
    this.bar.className = state === "expiring" ? "bar whole warm" : "bar whole"
    this.bar.hidden = over
    if (this.end) this.end.hidden = over
    setText(this.left, over ? `session over, ${endingWord(endedBy ?? "")}` : left > 0 ? `${remaining(left)} left` : "due now")
    const note = how === "left" ? `just left, ${ago(lastSeenMs + since)}`
      : how === "background" ? `in the background, seen ${ago(lastSeenMs + since)}`
      : [device, tabs > 1 ? plural(tabs, "tab") : ""].filter(Boolean).join(" · ")
    setText(this.note, note)
    this.note.hidden = !note
  }
}

/**
 * @param {{ visitor: string, session: string }} one
 * @param {() => void} then
 */
export function askToEnd({ visitor, session }, then) {
  confirm({
    title: "End this session?",
    words: `${seen(visitor)} is signed out everywhere this session is open, and has to sign in again. What they did until now stays recorded.`,
    yes: "End session", no: "Keep it",
    act: () => act(`sessions/${encodeURIComponent(session)}/end`),
    done: then,
  })
}

/** Today in numbers. Made once: what has the focus, or is being read, stays where it is while the numbers change. */
function today() {
  const here = el("strong", { class: "big" })
  const [sessions, visits, visible, median] = Array.from({ length: 4 }, () => el("span"))
  const element = figures("Today in numbers", [
    ["here", "Here now", here], ["sessions", "Signed in", sessions], ["visits-today", "Visits today", visits], ["visible-today", "Visible today", visible], ["median", "Median visit", median],
  ])
  /** @param {Now["totals"]} totals */
  const show = totals => {
    setText(here, count(totals.here))
    setText(sessions, count(totals.sessions))
    setText(visits, count(totals.visitsToday))
    setText(visible, duration(totals.visibleTodayMs))
    setText(median, totals.visitsToday ? duration(totals.medianVisibleTodayMs) : "–")
  }
  return { element, show }
}

/** The table of who is here, empty. */
function hereTable() {
  const body = el("tbody", { role: "rowgroup" })
  const heads = /** @type {[string, Node | string][]} */ ([["", "Visitor"], ["", "Page"], ["right", term("visible", "Visible")], ["right", term("active", "Active")],
    ["right", term("last-action", "Last action")], ["", term("deadline", "Deadline")], ["", el("span", { class: "visually-hidden" }, "Action")]])
  const table = el("table", { class: "sheet here-table", role: "table", "aria-label": "Here now", hidden: true },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads.map(([className, head]) => el("th", { role: "columnheader", scope: "col", class: className || null }, head)))),
    body)
  return { table, body }
}

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const { signal } = context
  /** @type {Map<string, HereRow>} */
  const rows = new Map()
  const { table, body } = hereTable()
  const wait = skeleton(4)
  const none = blank("Nobody is here", "As soon as somebody opens a page, they appear.")
  none.hidden = true
  const note = el("p", { class: "small muted num" })
  const figuresOfToday = today()
  const sums = ofToday(context, figuresOfToday.show)
  const numbers = el("div", { class: "numbers" }, skeleton(1, "figures"))
  const recent = new Sheet({ ...visitSheet(context), label: "Latest visits", empty: ["No visit yet", "The first one appears here when somebody reads a page."] })
  const element = frame("Here now", { beside: [el("a", { class: "button slim", href: "/admin/wall" }, "Wall mode")] },
    numbers,
    el("section", {}, sectionHead("On screen", note), wait, table, none),
    el("section", {}, sectionHead("Latest visits", el("a", { class: "small", href: address("/admin/visits", { zone: context.filter.zone }) }, "All visits")), recent.element))

  /** @param {Now} now */
  const onNow = ({ here, totals }) => {
    wait.remove()
    reconcile(body, rows, sorted(here), one => one.session, one => new HereRow(one, context))
    table.hidden = !here.length
    none.hidden = here.length > 0
    sums(totals)
    refill(numbers, figuresOfToday.element)
    const away = here.filter(one => standing(one) === "background").length
    setText(note, away ? `${plural(away, "session")} without a page on screen` : "")
  }
  const visits = async () => recent.show((await read("visits", { limit: RECENT, zone: context.asked.get("zone") ?? "UTC" }, signal)).visits)
  let due = 0
  return {
    title: "Here now",
    element,
    onNow,
    onVisits() {
      clearTimeout(due)
      due = window.setTimeout(() => { void visits().catch(() => {}) }, 400)
    },
    async load() {
      const known = context.now()
      if (known) onNow(known)
      else onNow(await read("now", {}, signal))
      await visits()
    },
    tick() { for (const row of rows.values()) row.tick() },
    leave() { clearTimeout(due) },
  }
}
