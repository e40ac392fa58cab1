/**
 * Leaving: once, for the right place, and with the way back.
 *
 * @import { Options, Over, UI } from "./types.js"
 */

/**
 * Where to go when the session is over, or null to stay: the sign-in page with the way back and the reason.
 * The sign-in page itself never sends anyone to itself in circles.
 *
 * @param {string} login
 * @param {string} href  where the page is now
 * @param {string} reason
 * @returns {string | null}
 */
export function signInUrl(login, href, reason) {
  const here = new URL(href)
  const there = new URL(login, href)
  const same = there.origin + there.pathname === here.origin + here.pathname
  if (same && (reason === "no_session" || here.searchParams.has("reason"))) return null
  there.searchParams.set("next", here.pathname + here.search)
  there.searchParams.set("reason", reason)
  return there.href
}

/**
 * @param {Options} options
 * @param {UI} [ui]
 */
export function createEnding(options, ui) {
  /** @type {string | null} */
  let leaveTo = null
  const redirect = () => leaveTo && location.replace(leaveTo)
  return {
    redirect,
    /**
     * @param {Over} over
     * @param {boolean} isQuiet  another tab shows the notice; this one goes when it is looked at
     * @param {AbortSignal} signal  the client stops, or its page is left
     */
    depart(over, isQuiet, signal) {
      // An application that handles the ending itself and names no sign-in page is left alone.
      const login = options.login ?? (!options.onSessionExpired && "/")
      leaveTo = login ? signInUrl(login, location.href, over.reason) : null
      if (!login || (!leaveTo && over.reason === "no_session")) return
      if (isQuiet) for (const type of ["focus", "visibilitychange"]) addEventListener(type, () => document.hidden || redirect(), { signal })
      else {
        ui?.notice(over, leaveTo ? redirect : null)
        const timer = setTimeout(redirect, Math.max(500, options.notice ?? 2_500))
        signal.addEventListener("abort", () => clearTimeout(timer))
      }
    },
  }
}
