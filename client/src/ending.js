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
