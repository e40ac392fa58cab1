// The audit log: what operators did, newest first.

import { el } from "../../dom.js"
import { read } from "../api.js"
import { foreign } from "../parts.js"
import { Pages } from "../sheet.js"
import { frame } from "../stage.js"
import { timeElement } from "../times.js"

/** @typedef {import("../api.js").Entry} Entry */

const ACTIONS = /** @type {Record<string, string>} */ ({
  "end": "ended a session", "exclude": "no longer counts a visit", "include": "counts a visit again", "erase": "erased a visitor", "export": "exported",
  "retry letter": "sent a letter again", "drop letter": "gave a letter up", "wake mirror": "started a mirror again", "retry mirror": "sent a mirror’s letters again", "sign-in": "signed in", "sign-in refused": "was refused at sign-in", "sign-out": "signed out",
})

/**
 * What was done, or was not allowed.
 * @param {string} action
 */
const actionWords = action => ACTIONS[action] ?? action.replaceAll("_", " ").replace(/ refused$/, ": refused")

/**
 * What else is known of it; an export's filter as it would be typed.
 * @param {Entry} entry
 */
function detailWords({ action, detail }) {
  if (detail === null || detail === undefined) return ""
  if (typeof detail !== "string") return JSON.stringify(detail)
  return action.startsWith("export") ? [...new URLSearchParams(detail)].map(([name, value]) => `${name}=${value}`).join(", ") : detail
}

/**
 * @param {import("../stage.js").Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create({ signal }) {
  const pages = new Pages(/** @type {import("../sheet.js").Plan<Entry>} */ ({
    label: "Audit log", className: "audit-table", empty: ["Nothing yet", "Whatever an operator does is written down here."],
    key: entry => JSON.stringify(entry),
    columns: [
      { label: "When", className: "when", show: entry => timeElement(entry.at) },
      { label: "Operator", className: "cut", show: entry => foreign(entry.operator) },
      { label: "Did", className: "when", show: entry => actionWords(entry.action) },
      { label: "To what", className: "why span-all", show: entry => [entry.target ? foreign(entry.target) : null, detailWords(entry) ? el("span", { class: "sub" }, foreign(detailWords(entry))) : null] },
    ],
  }), async before => {
    const { entries, next } = await read("audit", before ? { before } : {}, signal)
    return { items: entries, next: next ?? null }
  }, "Show earlier entries")
  return { title: "Audit log", element: frame("Audit log", { lede: "Every operator’s action, and every sign-in." }, pages.element), load: () => pages.load() }
}
