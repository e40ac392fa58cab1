// The lab's log: one <tbody> per message, newest first, its JSON behind a button.

import { byId, el, setText } from "./dom.js"
import { clockTime, duration, plural, remaining } from "./format.js"

const KEEP = 200
let said = 0

/**
 * The beats of a message: it carries one, or several that were kept back.
 * @param {any} body
 * @returns {any[]}
 */
const beatsOf = body => (Array.isArray(body?.beats) ? body.beats : body && typeof body === "object" ? [body] : [])

/** @param {any} body */
function whatItSaid(body) {
  const beats = beatsOf(body)
  const last = beats.at(-1)
  if (!last) return "nothing: no body"
  const parts = []
  if (beats.length > 1) parts.push(plural(beats.length, "beat"))
  if (last.visibleMs != null) parts.push(`visible ${duration(last.visibleMs)}`)
  if (last.activeMs != null) parts.push(`active ${duration(last.activeMs)}`)
  if (last.idleMs != null) parts.push(`idle ${duration(last.idleMs)}`)
  if (last.scrollPct) parts.push(`scroll ${Math.round(last.scrollPct)}\u00a0%`)
  if (last.ageMs) parts.push(`made ${duration(last.ageMs)} ago`)
  return parts.join(", ") || "nothing new"
}

/**
 * @param {import("./session.js").Message} message
 * @returns {[string, string, string]} status, its colour, what it means
 */
function whatWasAnswered({ status, answer, via }) {
  if (via === "beacon") return ["sent", "none", "a beacon hears no answer"]
  if (!status) return ["failed", "bad", "the server was not reached"]
  if (status === 401) return ["401", "bad", `over: ${String(answer?.reason ?? "").replaceAll("_", " ")}`]
  if (status >= 400) return [String(status), "warm", String(answer?.detail ?? answer?.title ?? "")]
  if (answer?.expiresInMs == null) return [String(status), "", String(answer?.reason ?? "").replaceAll("_", " ")]
  const next = answer.nextBeatMs == null ? "" : `, next beat in ${remaining(answer.nextBeatMs)}`
  return [String(status), answer.state === "expiring" ? "warm" : "", `${remaining(answer.expiresInMs)} left${next}`]
}

/** @param {unknown} value */
function json(value) {
  if (value == null) return "–"
  return typeof value === "string" ? value : JSON.stringify(value, null, 2)
}

/** @param {import("./session.js").Message} message */
export function logMessage(message) {
  const table = byId("log-empty").closest("table")
  if (!table) return
  byId("log-empty").hidden = true
  const [status, colour, meaning] = whatWasAnswered(message)
  const id = `message-${++said}`
  const opener = el("button", { type: "button", class: "opener", "aria-expanded": "false", "aria-controls": id }, clockTime(new Date()))
  const detail = el("tr", { role: "row", class: "detail", id, hidden: true })
  opener.addEventListener("click", () => {
    detail.hidden = !detail.hidden
    opener.setAttribute("aria-expanded", String(!detail.hidden))
    if (!detail.firstChild) {
      detail.append(el("td", { role: "cell", colspan: 5 }, el("div", { class: "pair" },
        el("div", {}, el("h4", {}, "Sent"), el("pre", {}, json(message.body))),
        el("div", {}, el("h4", {}, "Answered"), el("pre", {}, message.via === "beacon" ? "a beacon hears no answer" : json(message.answer))))))
    }
  })
  const group = el("tbody", { role: "rowgroup", class: "fresh" },
    el("tr", { role: "row" },
      el("td", { role: "cell" }, opener),
      el("td", { role: "cell" }, el("span", { class: "kind" }, message.kind ?? "beat"), " ", el("span", { class: "via" }, message.via)),
      el("td", { role: "cell", class: "said-cell" }, whatItSaid(message.body)),
      el("td", { role: "cell", class: "answer-cell" }, el("span", { class: `status ${colour}` }, status), " ", meaning),
      el("td", { role: "cell", class: "right muted" }, message.ms == null || message.via === "beacon" ? "–" : `${Math.round(message.ms)}\u00a0ms`)),
    detail)
  byId("log-empty").before(group)
  const first = table.tBodies[0]
  if (first && first !== group) table.insertBefore(group, first)
  while (table.tBodies.length > KEEP + 1) table.tBodies[KEEP - 1]?.remove()
  setText(byId("log-count"), `${plural(said, "message")}, newest first`)
}
