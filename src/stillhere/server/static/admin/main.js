// The dashboard: who asks, where they are, what is shown there, and what happens meanwhile.

import { byId, el, setText } from "../dom.js"
import { startTips } from "../tip.js"
import { ApiError, read } from "./api.js"
import { showHealth } from "./chip.js"
import { startConfirm } from "./confirm.js"
import { fadeEdges } from "./edges.js"
import { faultOf, faultWords, ignored } from "./faults.js"
import { asked, showFilterBar, showIgnored, startFilterBar } from "./filterbar.js"
import { address, readFilter } from "./filters.js"
import { Live } from "./live.js"
import { startRouter } from "./router.js"
import { currentView, frame, showOutage, stage } from "./stage.js"
import { dayOf, isZone, setZone, shiftDays } from "./times.js"

/** @typedef {import("./router.js").Place} Place */
/** @typedef {{ create: (context: import("./stage.js").Context) => import("./stage.js").Shown }} Module */

/** @type {Record<Place["name"], () => Promise<Module>>} */
const VIEWS = {
  now: () => import("./views/now.js"),
  visits: () => import("./views/visits.js"),
  visit: () => import("./views/visit.js"),
  visitors: () => import("./views/visitors.js"),
  visitor: () => import("./views/visitor.js"),
  pages: () => import("./views/pages.js"),
  time: () => import("./views/time.js"),
  mirrors: () => import("./views/mirrors.js"),
  audit: () => import("./views/audit.js"),
  wall: () => import("./views/wall.js"),
}

/** Views whose numbers the definitions at the end are about. */
const NUMBERS = new Set(["now", "visits", "visit", "visitors", "visitor", "pages", "time"])

/** Views that belong to another one's entry of the navigation. */
const UNDER = /** @type {Record<string, string>} */ ({ visit: "visits", visitor: "visitors" })

let me = /** @type {import("./api.js").Me} */ ({ operator: "", role: "viewer", signOut: null, zone: "UTC", siteName: "" })
let shown = ""

/**
 * @param {Place} place
 * @param {{ fresh: boolean, y: number }} how
 */
function show(place, { fresh, y }) {
  const filter = readFilter(place.query)
  setZone(isZone(filter.zone) ? filter.zone : me.zone)
  showFilterBar(place, filter)
  showIgnored(place, ignored(place))
  showNavigation(place, filter)
  byId("legend").hidden = !NUMBERS.has(place.name)
  document.body.classList.toggle("wall", place.name === "wall")
  const same = shown === place.path
  shown = place.path
  const make = async (/** @type {AbortSignal} */ signal, /** @type {() => void} */ refresh) => {
    const wrong = faultOf(place, filter)
    if (wrong) return refused(place, wrong, filter)
    const { create } = await VIEWS[place.name]()
    return explained(create({ place, filter, me, asked: asked(filter), signal, refresh, now: () => live.last }), filter)
  }
  void stage(make, { same, focus: fresh && !same, y: same && fresh && !y ? scrollY : y, siteName: me.siteName })
}

/** @param {string} field @param {import("./filters.js").Filter} filter */
const refusal = (field, filter) => new ApiError(422, 0, { field, detail: faultWords(field, filter) })

/**
 * What is shown for a filter that cannot be read: nothing is asked.
 * @param {Place} place
 * @param {string} field
 * @param {import("./filters.js").Filter} filter
 * @returns {import("./stage.js").Shown}
 */
function refused(place, field, filter) {
  const title = byId("places").querySelector(`[data-place="${UNDER[place.name] ?? place.name}"]`)?.textContent ?? "Wall"
  return { title, element: frame(title, {}), load: () => Promise.reject(refusal(field, filter)) }
}

/**
 * A view whose filter the server may find wrong, which is told in our words.
 * @param {import("./stage.js").Shown} view
 * @param {import("./filters.js").Filter} filter
 * @returns {import("./stage.js").Shown}
 */
const explained = (view, filter) => ({
  ...view,
  load: async () => {
    try {
      await view.load?.()
    } catch (error) {
      throw error instanceof ApiError && error.status === 422 && error.field ? refusal(error.field, filter) : error
    }
  },
})

/**
 * Marks where we are; the links take the filter along.
 * @param {Place} place
 * @param {import("./filters.js").Filter} filter
 */
function showNavigation(place, filter) {
  const here = UNDER[place.name] ?? place.name
  const period = filter.from || filter.to ? {} : { from: shiftDays(dayOf(Date.now()), -29), to: dayOf(Date.now()) }
  for (const link of byId("places").querySelectorAll("a")) {
    const name = link.dataset.place ?? ""
    if (name === here) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
    const path = link.pathname
    const { visitor, page, ...lasting } = filter
    const rest = name === "visits" || name === "time" ? filter : lasting
    link.href = ["visits", "visitors", "pages"].includes(name) ? address(path, rest) : name === "time" ? address(path, { ...rest, ...period }) : address(path, { zone: filter.zone })
    if (name === here) link.scrollIntoView({ block: "nearest", inline: "nearest" })
  }
}

const live = new Live({
  now: now => {
    currentView()?.onNow?.(now)
    document.title = document.title.replace(/^(\(\d+\) )?/, now.totals.here ? `(${now.totals.here}) ` : "")
  },
  visits: visits => currentView()?.onVisits?.(visits),
  health: (health, error) => {
    showHealth(health)
    if (health !== "paused") showOutage(health === "trouble" ? error ?? new ApiError(0) : null)
  },
})

/** Asks who we are until there is an answer. */
async function introduce() {
  for (let wait = 1000; ; wait = Math.min(15_000, wait * 2)) {
    try {
      return /** @type {import("./api.js").Me} */ (await read("me"))
    } catch (error) {
      const known = error instanceof ApiError ? error : new ApiError(0)
      showOutage(known)
      await new Promise(resolve => setTimeout(resolve, Math.max(wait, known.retryAfter * 1000)))
    }
  }
}

async function begin() {
  startTips()
  startConfirm()
  me = await introduce()
  showOutage(null)
  document.body.dataset.role = me.role
  setText(byId("who"), me.operator)
  byId("who").title = `${me.operator}, ${me.role}`
  if (me.role === "viewer") byId("who").after(el("span", { class: "badge" }, "viewer"))
  if (typeof me.signOut === "string") byId("sign-out").setAttribute("action", me.signOut)
  byId("sign-out").hidden = !me.signOut
  setZone(me.zone)
  startFilterBar(me.zone)
  for (const row of [byId("places"), byId("presets")]) fadeEdges(row)
  startRouter(show)
  live.start()
  setInterval(() => { if (!document.hidden) currentView()?.tick?.() }, 1000)
}

void begin()
