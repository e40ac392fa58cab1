// Taking along what is filtered: as a file, with how far it is.

import { byId, el, setText } from "../dom.js"
import { count, plural } from "../format.js"
import { ask, sentence } from "./api.js"
import { filterWords } from "./filters.js"
import { currentZone } from "./times.js"

/** @typedef {"visits" | "views" | "visitors" | "pages"} What */

const WHAT = /** @type {[What, string][]} */ ([["visits", "Visits"], ["views", "Views"], ["visitors", "Visitors"], ["pages", "Pages"]])
const FORMATS = [["csv", "CSV", "for spreadsheets"], ["jsonl", "JSON lines", "for programs"], ["parquet", "Parquet", "for analysis"]]
const NEWLINE = 10

let running = /** @type {AbortController | null} */ (null)

const dialog = () => /** @type {HTMLDialogElement} */ (byId("export"))

/**
 * @param {import("./stage.js").Context} context
 * @param {What} what
 */
export const exportButton = (context, what) => el("button", { type: "button", class: "button slim", onclick: () => open(context, what) }, "Export…")

/**
 * @param {import("./stage.js").Context} context
 * @param {What} what
 */
function open({ filter, asked }, what) {
  const choices = (/** @type {string} */ name, /** @type {string[][]} */ options, /** @type {string} */ chosen) => options.map(([value, words, note]) =>
    el("label", { class: "choice" }, el("input", { type: "radio", name, value, checked: value === chosen }), el("span", {}, words, note ? el("span", { class: "sub" }, note) : null)))
  byId("export-what").replaceChildren(...choices("what", WHAT, what))
  byId("export-format").replaceChildren(...choices("format", FORMATS, "csv"))
  setText(byId("export-words"), filterWords(filter, currentZone()))
  const go = byId("export-go")
  go.onclick = () => void take(asked)
  byId("export-close").onclick = () => {
    running?.abort()
    dialog().close()
  }
  dialog().onclose = () => running?.abort()
  tell("", null)
  dialog().showModal()
}

/**
 * @param {string} words
 * @param {number | null} share 0 to 1, null where unknown
 * @param {boolean} [going]
 */
function tell(words, share, going = false) {
  setText(byId("export-said"), words)
  const bar = /** @type {HTMLProgressElement} */ (byId("export-bar"))
  bar.hidden = !going
  if (share === null) bar.removeAttribute("value")
  else bar.value = share
  byId("export-go").toggleAttribute("hidden", going)
  setText(byId("export-close"), going ? "Stop" : "Close")
}

/** @param {URLSearchParams} asked */
async function take(asked) {
  const chosen = new FormData(/** @type {HTMLFormElement} */ (byId("export-form")))
  const name = `${chosen.get("what")}.${chosen.get("format")}`
  running = new AbortController()
  tell("Asking…", null, true)
  try {
    const answer = await ask(`export/${name}?${asked}`, { signal: running.signal, headers: { "X-Heartbeat": "true" } }, 0)
    const { blob, rows } = await collect(answer, String(chosen.get("format")))
    save(blob, name)
    tell(`${name} is saved${rows === null ? "" : ` with ${plural(rows, "row")}`}.`, 1)
  } catch (error) {
    tell(running.signal.aborted ? "Stopped; nothing was saved." : `Not exported. ${sentence(error)}`, null)
  } finally {
    running = null
  }
}

/**
 * Reads an answer to its end and says how far it is.
 * @param {Response} answer
 * @param {string} format
 */
async function collect(answer, format) {
  const inLines = format !== "parquet"
  const header = answer.headers.get("stillhere-rows")
  const total = header === null ? null : Number(header)
  const reader = answer.body?.getReader()
  /** @type {BlobPart[]} */
  const parts = []
  let lines = 0
  let bytes = 0
  let toldAt = 0
  for (;;) {
    const { done, value } = await (reader?.read() ?? { done: true, value: undefined })
    if (done || !value) break
    parts.push(value)
    bytes += value.length
    if (inLines) for (const byte of value) if (byte === NEWLINE) lines += 1
    if (performance.now() - toldAt < 100) continue
    toldAt = performance.now()
    if (inLines && total) tell(`${count(Math.min(lines, total))} of ${plural(total, "row")}`, Math.min(1, lines / total), true)
    else tell(`${count(Math.round(bytes / 1024))} KB${total ? ` of ${plural(total, "row")}` : ""}`, null, true)
  }
  return { blob: new Blob(parts, { type: answer.headers.get("Content-Type") ?? "application/octet-stream" }), rows: format === "jsonl" ? lines : total }
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function save(blob, name) {
  const url = URL.createObjectURL(blob)
  el("a", { href: url, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
