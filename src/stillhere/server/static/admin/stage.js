// Puts views on the page: one after the other, without a jump; and says what is the matter when one can't be shown.

import { byId, el, setText } from "../dom.js"
import { duration } from "../format.js"
import { ApiError, sentence } from "./api.js"
import { showTrouble } from "./chip.js"
import { markField } from "./filterbar.js"
import { blank } from "./parts.js"
import { say } from "./times.js"

/** @typedef {import("./api.js").Now} Now */
/** @typedef {import("./api.js").Visit} Visit */

/**
 * @typedef {object} Context
 * @property {import("./router.js").Place} place
 * @property {import("./filters.js").Filter} filter
 * @property {import("./api.js").Me} me
 * @property {URLSearchParams} asked the filter as the API takes it
 * @property {AbortSignal} signal
 * @property {() => void} refresh loads the view again
 * @property {() => Now | null} now what is known of who is here
 */

/**
 * @typedef {object} Shown
 * @property {string} title
 * @property {HTMLElement} element
 * @property {() => Promise<void>} [load]
 * @property {(now: Now) => void} [onNow]
 * @property {(visits: Visit[] | null) => void} [onVisits] null: something changed
 * @property {() => void} [tick] each second
 * @property {() => void} [leave]
 */

/** How long a view may take before its outline is shown in the place of the one before. */
const PATIENCE_MS = 150

let current = /** @type {Shown | null} */ (null)
let leaving = new AbortController()
let retry = 0
/** Up to when what is shown was true; null while there is nothing yet. */
let goodAt = /** @type {Date | null} */ (null)
let failed = false
const troubles = /** @type {Map<string, ApiError | null>} */ (new Map())

/** The view that is shown; null while it only says why it can’t be, so that nobody asks for it once more. */
export const currentView = () => failed ? null : current

/**
 * Shows a view in the place of the one before.
 * @param {(signal: AbortSignal, refresh: () => void) => Promise<Shown>} make
 * @param {{ same: boolean, focus: boolean, y: number, siteName: string }} how same: the same view with another filter
 */
export async function stage(make, { same, focus, y, siteName }) {
  leaving.abort()
  failed = false
  if (!same) goodAt = null
  clearTimeout(retry)
  trouble("view", null)
  leaving = new AbortController()
  const { signal } = leaving
  const host = byId("view")
  host.setAttribute("aria-busy", "true")
  let timer = 0
  const swap = () => {
    clearTimeout(timer)
    if (next === current || signal.aborted) return
    current?.leave?.()
    current = next
    host.replaceChildren(next.element)
    document.title = `${next.title} · ${siteName}`
    if (focus) host.querySelector("h1")?.focus({ preventScroll: true })
    scrollTo(0, y)
  }
  const attempt = () => load(next, signal, attempt, swap, same && current !== null)
  const next = await make(signal, () => void attempt()).catch(broken)
  if (signal.aborted) return
  if (!same) timer = window.setTimeout(swap, PATIENCE_MS)
  await attempt()
  if (y && current === next) scrollTo(0, y)
}

/**
 * Fetches what a view shows.
 * @param {Shown} view
 * @param {AbortSignal} signal
 * @param {() => unknown} attempt does this once more
 * @param {() => void} swap puts the view on the page, if it is not there yet
 * @param {boolean} keep whether the view before may stay while this one has trouble
 */
async function load(view, signal, attempt, swap, keep) {
  clearTimeout(retry)
  const host = byId("view")
  try {
    await view.load?.()
    if (signal.aborted) return
    failed = false
    view.element.querySelector(":scope > .panel")?.remove()
    view.element.classList.remove("failed")
    goodAt = new Date()
    trouble("view", null)
    host.classList.remove("stale")
    swap()
  } catch (error) {
    if (signal.aborted) return
    const passes = error instanceof ApiError && error.passes
    if (!passes || !keep) swap()
    if (passes) outlast(error, signal, attempt)
    else fail(view, error, attempt)
  }
  host.setAttribute("aria-busy", "false")
}

/**
 * Says that there is trouble, and asks again by itself.
 * @param {ApiError} error
 * @param {AbortSignal} signal
 * @param {() => unknown} attempt
 */
function outlast(error, signal, attempt) {
  trouble("view", error)
  byId("view").classList.add("stale")
  retry = window.setTimeout(() => { if (!signal.aborted) attempt() }, Math.max(2, error.retryAfter) * 1000)
}

/**
 * Says what is the matter, in the view's place.
 * @param {Shown} view
 * @param {unknown} error
 * @param {() => unknown} attempt
 */
function fail(view, error, attempt) {
  const known = error instanceof ApiError ? error : null
  failed = true
  if (!known) console.error(error)
  markField(known?.field ?? null)
  const [title, words] =
    known?.status === 403 ? ["Not for viewers", "This part is for operators. Ask whoever runs this server if you need it."]
    : known?.status === 404 ? ["Not here", "There is nothing at this address any more. It may have been erased, or grown too old to be kept."]
    : known?.status === 422 ? ["This filter can’t be read", known.message]
    : ["This can’t be shown", sentence(error)]
  view.element.querySelector(":scope > .panel")?.remove()
  view.element.classList.add("failed")
  const again = ![403, 404, 422].includes(known?.status ?? 0)
  view.element.append(el("div", { class: "panel", role: "alert" }, blank(title, words,
    known?.status === 422 && el("p", {}, el("a", { class: "button", href: location.pathname }, "Clear the filter")),
    again && el("p", {}, el("button", { type: "button", class: "button", onclick: () => attempt() }, "Try again")))))
}

/** @param {ApiError} error */
function outage(error) {
  const what =
    error.status === 503 ? "The store can’t be reached. Nobody is signed out, and nothing is lost."
    : error.status === 429 ? "The server asks for a moment."
    : error.status ? `The server has trouble (${error.status}).` : "The server can’t be reached."
  const again = error.retryAfter ? `Asked again in ${duration(error.retryAfter * 1000)}.` : "Asked again by itself."
  return `${what} ${goodAt ? `What you see is from ${say("seconds", goodAt)}.` : "There is nothing to show yet; it comes as soon as there is an answer."} ${again}`
}

/**
 * Says what is the matter above the view, or takes it away.
 * @param {"view" | "live"} source
 * @param {ApiError | null} error
 */
function trouble(source, error) {
  troubles.set(source, error)
  const worst = troubles.get("view") ?? troubles.get("live") ?? null
  const place = byId("trouble")
  place.hidden = !worst
  setText(place, worst ? outage(worst) : "")
  showTrouble(worst !== null)
}

/**
 * What the live channel knows of the server.
 * @param {ApiError | null} error null while all is well
 */
export function showOutage(error) {
  const was = troubles.get("live")
  trouble("live", error)
  byId("view").classList.toggle("stale", Boolean(error || troubles.get("view")))
  if (!error && goodAt) goodAt = new Date()
  // Whatever a view could not load meanwhile it can load now.
  if (was && !error) currentView()?.onVisits?.(null)
}

/** @param {unknown} error */
function broken(error) {
  console.error(error)
  return { title: "Trouble", element: el("div", { class: "view" }, blank("This view can’t be loaded", "The server may have been updated. Reload the page.",
    el("p", {}, el("button", { type: "button", class: "button", onclick: () => location.reload() }, "Reload")))) }
}

/**
 * The frame that every view has: its title, what belongs beside it, its parts.
 * @param {string} title
 * @param {{ beside?: import("../dom.js").Child[], lede?: import("../dom.js").Child, className?: string }} about
 * @param {...import("../dom.js").Child} parts
 */
export function frame(title, { beside = [], lede, className = "" }, ...parts) {
  return el("div", { class: `view ${className}`.trim() },
    el("header", { class: "view-head" },
      el("div", {}, el("h1", { tabindex: -1 }, title), lede ? el("p", { class: "lede muted" }, lede) : null),
      beside.length ? el("div", { class: "row no-print" }, ...beside) : null),
    ...parts)
}
