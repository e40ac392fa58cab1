/**
 * Who signed out here is sent on to their provider, to sign out there, too. Only the tab in which they did goes; the others end as ever.
 *
 * @import { Session } from "./types.js"
 */

/**
 * Whether a page may be sent there: https, or this machine.
 * @param {unknown} url
 * @returns {url is string}
 */
export function isSafe(url) {
  try {
    const { protocol, hostname } = new URL(/** @type {string} */ (url))
    return protocol === "https:" || (protocol === "http:" && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname))
  } catch {
    return false
  }
}

/**
 * Goes to the `logoutUrl` of the answer to a sign-out, if it has one, in place of the notice and the sign-in page; until the session is
 * stopped, or what is returned is called.
 * @param {Session} session
 * @param {{ endpoint?: string }} [options]  where the session routes are; default "/session"
 * @returns {() => void}
 */
export function logoutAtProvider(session, { endpoint = "/session" } = {}) {
  /** @type {unknown} */
  let url
  const undos = [
    // Of the end all tabs are told; the answer to a message is this tab's own.
    session.on("message", ({ kind, status, answer }) => {
      if (kind === "end" && status === 200) url = answer?.logoutUrl
    }),
    session.on("ended", () => {
      if (!isSafe(url) || new URL(endpoint, document.baseURI).origin !== self.origin) return
      // Nothing of the page stays to be seen, or to be gone back to; and no sign-in page gets in the way of a slow provider.
      document.documentElement.style.visibility = "hidden"
      session.stop()
      location.replace(url)
    }),
  ]
  const undo = () => undos.forEach((undoOne) => undoOne())
  session.onStop(undo)
  return undo
}
