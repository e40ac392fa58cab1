// Places under /admin: real addresses, followed without loading the page anew.

/** @typedef {"now" | "visits" | "visit" | "visitors" | "visitor" | "pages" | "time" | "mirrors" | "audit" | "wall"} Name */
/** @typedef {{ name: Name, id: string, path: string, query: URLSearchParams }} Place */

/** @type {[Name, RegExp][]} */
const ROUTES = [
  ["now", /^\/admin\/?$/],
  ["visits", /^\/admin\/visits\/?$/],
  ["visit", /^\/admin\/visits\/([^/]+)$/],
  ["visitors", /^\/admin\/visitors\/?$/],
  ["visitor", /^\/admin\/visitors\/(.+)$/],
  ["pages", /^\/admin\/pages\/?$/],
  ["time", /^\/admin\/time\/?$/],
  ["mirrors", /^\/admin\/mirrors\/?$/],
  ["audit", /^\/admin\/audit\/?$/],
  ["wall", /^\/admin\/wall\/?$/],
]

/**
 * @param {URL | Location} url
 * @returns {Place | null} null for what is none of the dashboard's places
 */
export function placeOf({ pathname, search }) {
  for (const [name, shape] of ROUTES) {
    const found = shape.exec(pathname)
    if (!found) continue
    let id = found[1] ?? ""
    try {
      id = decodeURIComponent(id)
    } catch {
      // Not our encoding: then the name is what it says.
    }
    return { name, id, path: pathname, query: new URLSearchParams(search) }
  }
  return null
}

/**
 * Where a visitor's page is. What a path cannot hold goes to the list of their visits.
 * @param {string} visitor
 */
export const visitorPath = visitor => visitor === "." || visitor === ".." ? `/admin/visits?visitor=${visitor}` : `/admin/visitors/${encodeURIComponent(visitor)}`

/** @param {string} id */
export const visitPath = id => `/admin/visits/${encodeURIComponent(id)}`

/** @typedef {(place: Place, how: { fresh: boolean, y: number }) => void} Show */

/** @type {Show} */
let show = () => {}

/**
 * Goes to a place.
 * @param {string} to
 * @param {{ replace?: boolean }} [how] replace: without an entry for Back
 */
export function go(to, { replace = false } = {}) {
  const url = new URL(to, location.href)
  const place = placeOf(url)
  if (!place) return location.assign(url)
  remember()
  if (replace) history.replaceState({}, "", url)
  else history.pushState({}, "", url)
  arrive(place, { fresh: !replace, y: 0 })
}

let shown = ""

/**
 * @param {Place} place
 * @param {{ fresh: boolean, y: number }} how
 */
function arrive(place, how) {
  shown = location.pathname + location.search
  show(place, how)
}

/** Keeps how far this place is scrolled, for Back. */
function remember() {
  history.replaceState({ ...history.state, y: scrollY }, "")
}

/** @param {MouseEvent} event */
function follow(event) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null
  if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download") || link.origin !== location.origin) return
  const url = new URL(link.href)
  if (url.hash && url.pathname === location.pathname) return
  if (!placeOf(url)) return
  event.preventDefault()
  if (url.pathname + url.search === location.pathname + location.search) return
  go(link.href)
}

/** @param {Show} listener called with every place that is gone to */
export function startRouter(listener) {
  show = listener
  history.scrollRestoration = "manual"
  document.addEventListener("click", follow)
  addEventListener("popstate", event => {
    const place = placeOf(location)
    // A jump within the page comes by here, too.
    if (place && shown !== location.pathname + location.search) arrive(place, { fresh: true, y: event.state?.y ?? 0 })
  })
  let quiet = 0
  addEventListener("scroll", () => {
    clearTimeout(quiet)
    quiet = window.setTimeout(remember, 250)
  }, { passive: true })
  const place = placeOf(location)
  if (place) arrive(place, { fresh: false, y: history.state?.y ?? 0 })
}
