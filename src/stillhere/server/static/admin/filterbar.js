// The one bar that narrows every view: period, zone, and what else is asked for. What it says is in the address.

import { byId, el, setText } from "../dom.js"
import { ENDINGS, PRESETS, address, filterWords, narrowings, periodOf, periodWords, presetOf, toQuery } from "./filters.js"
import { go } from "./router.js"
import { currentZone, dayOf, say, zones } from "./times.js"

/** @typedef {import("./filters.js").Filter} Filter */
/** @typedef {import("./router.js").Place} Place */

/** What each place can be narrowed by. */
export const USES = /** @type {Record<Place["name"], "all" | "zone">} */ ({
  now: "zone", visits: "all", visit: "zone", visitors: "all", visitor: "all", pages: "all", time: "all", mirrors: "zone", audit: "zone", wall: "zone",
})

const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (byId(`filter-${name}`))
const form = () => /** @type {HTMLFormElement} */ (byId("filters"))

/** @type {{ place: Place, filter: Filter } | null} */
let shown = null

/** @param {Partial<Filter>} change */
function apply(change) {
  if (!shown) return
  const kept = Object.fromEntries(["unit", "sort"].map(key => [key, shown?.place.query.get(key) ?? ""]))
  // Another period asks for buckets of another size.
  if ("from" in change) kept.unit = ""
  go(address(shown.place.path, { ...shown.filter, ...change }, kept))
}

/** What the form holds. @returns {Partial<Filter>} */
function written() {
  const also = ["internal", "excluded"].filter(flag => field(flag).checked)
  return {
    visitor: field("visitor").value.trim(), page: field("page").value.trim(), from: field("from").value || keptBound("from"), to: field("to").value || keptBound("to"),
    min: field("min").value.trim(), max: field("max").value.trim(), ended: field("ended").value, with: also.join(","), verified: field("verified").checked ? "true" : "",
  }
}

/** An instant in the address, which a field for days cannot show, stays. @param {"from" | "to"} bound */
const keptBound = bound => shown?.filter[bound].includes("T") ? shown.filter[bound] : ""

/** Connects the form. @param {string} home the server's own zone */
export function startFilterBar(home) {
  byId("presets").replaceChildren(...PRESETS.map(([preset, words]) =>
    el("button", { type: "button", class: "segment", "data-preset": preset, onclick: () => apply(periodOf(preset, dayOf(Date.now()))) }, words)))
  field("ended").replaceChildren(el("option", { value: "" }, "however"), ...ENDINGS.map(([kind, words]) => el("option", { value: kind }, words)))
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone
  const names = zones([home, own])
  byId("filter-zone").replaceChildren(...names.map(zone => el("option", { value: zone }, zone === home ? `${zone} (server)` : zone === own ? `${zone} (here)` : zone)))
  field("zone").addEventListener("change", () => apply({ zone: field("zone").value === home ? "" : field("zone").value }))
  for (const bound of ["from", "to"]) field(bound).addEventListener("change", () => { if (field(bound).validity.valid) apply({ ...written() }) })
  form().addEventListener("submit", event => {
    event.preventDefault()
    leaveMore()
    apply(written())
  })
  byId("filter-clear").addEventListener("click", () => {
    leaveMore()
    if (shown) apply({ visitor: "", page: "", min: "", max: "", ended: "", with: "", verified: "" })
  })
  document.addEventListener("keydown", event => {
    if (event.key === "Escape" && more().open) leaveMore()
  })
  addEventListener("beforeprint", () => setText(byId("printed"), printedWords()))
  document.addEventListener("pointerdown", event => { if (event.target instanceof Node && !more().contains(event.target)) closeMore() })
}

/** What paper has to say for itself: what was asked for, by which clocks, and when. */
function printedWords() {
  const narrowed = shown && USES[shown.place.name] === "all" ? filterWords(shown.filter, currentZone()) : `times of ${currentZone()}`
  return `${narrowed[0].toUpperCase()}${narrowed.slice(1)}. Printed ${say("full", new Date())}.`
}

const more = () => /** @type {HTMLDetailsElement} */ (byId("filter-more"))
const closeMore = () => { more().open = false }

/** Closes it for who was in it: what had the focus is gone, and its door has it. */
function leaveMore() {
  closeMore()
  more().querySelector("summary")?.focus()
}

/**
 * No longer filters by something; the focus goes to the chip that takes its place, or to where there could be more.
 * @param {keyof Filter} key
 */
function takeAway(key) {
  const chips = byId("chips")
  const at = [...chips.children].indexOf(/** @type {Element} */ (document.activeElement))
  apply({ [key]: "" })
  const next = at < 0 ? null : chips.children[Math.min(at, chips.children.length - 1)] ?? more().querySelector("summary")
  if (next instanceof HTMLElement) next.focus()
}

/**
 * Shows what the address says.
 * @param {Place} place
 * @param {Filter} filter
 */
export function showFilterBar(place, filter) {
  shown = { place, filter }
  const all = USES[place.name] === "all"
  form().classList.toggle("only-zone", !all)
  for (const name of /** @type {const} */ (["visitor", "page", "min", "max", "ended"])) field(name).value = filter[name]
  for (const bound of /** @type {const} */ (["from", "to"])) field(bound).value = filter[bound].slice(0, 10)
  const zone = field("zone")
  const current = currentZone()
  if (![.../** @type {any} */ (zone).options].some(one => one.value === current)) zone.append(el("option", { value: current }, current))
  zone.value = current
  for (const flag of ["internal", "excluded"]) field(flag).checked = filter.with.split(",").includes(flag)
  field("verified").checked = filter.verified === "true"
  field("visitor").closest("label")?.toggleAttribute("hidden", place.name === "visitor")
  const chosen = presetOf(filter, dayOf(Date.now()))
  for (const button of byId("presets").children) button.setAttribute("aria-pressed", String(button instanceof HTMLElement && button.dataset.preset === chosen))
  const chips = all ? narrowings(filter) : []
  setText(byId("filter-count"), chips.length || "")
  setText(byId("filter-period"), periodWords(filter))
  byId("chips").hidden = !chips.length
  byId("chips").replaceChildren(...chips.map(({ key, label, value }) =>
    el("button", { type: "button", class: "chip take", "aria-label": `No longer filter by ${label.toLowerCase()}: ${value}`, onclick: () => takeAway(key) },
      el("span", { class: "muted" }, label), " ", el("bdi", { class: "foreign" }, value), el("span", { class: "cross", "aria-hidden": "true" }))))
  markField(null)
}

/**
 * Marks the field that was not understood; the view says why.
 * @param {string | null} name
 */
export function markField(name) {
  for (const input of form().querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid")
  if (name) document.getElementById(`filter-${name}`)?.setAttribute("aria-invalid", "true")
}

/**
 * Says which words of the address are for nothing, with a way to be rid of them.
 * @param {Place} place
 * @param {{ key: string, words: string }[]} words
 */
export function showIgnored(place, words) {
  const line = byId("ignored")
  line.hidden = !words.length
  const query = new URLSearchParams(place.query)
  for (const { key } of words) query.delete(key)
  line.replaceChildren(...(words.length ? [`Not used here, and ignored: ${words.map(one => one.words).join(", ")}. `, el("a", { href: query.size ? `${place.path}?${query}` : place.path }, words.length > 1 ? "Leave them out" : "Leave it out")] : []))
}

/** The filter as the API takes it, its zone always said. @param {Filter} filter */
export function asked(filter) {
  const query = toQuery(filter)
  query.set("zone", currentZone())
  return query
}
