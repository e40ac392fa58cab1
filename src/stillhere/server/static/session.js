// The client's interface as these pages use it. `/session/client.js` runs first and leaves it on `window.stillhere`.

/**
 * @typedef {object} SessionState
 * @property {"active" | "expiring" | "ended" | "unknown"} state
 * @property {number | null} expiresInMs
 * @property {number | null} warnInMs
 * @property {number | null} idleInMs
 * @property {number | null} absoluteInMs
 * @property {boolean} canExtend
 * @property {number} visibleMs
 * @property {number} activeMs
 * @property {number | null} idleMs
 * @property {string} view
 * @property {string} tab
 */

/**
 * @typedef {object} Message
 * @property {string} kind
 * @property {any} body
 * @property {number | null} [status]
 * @property {any} [answer]
 * @property {string} via "fetch" or "beacon"
 * @property {number | null} [ms]
 */

/**
 * @typedef {object} Session
 * @property {() => SessionState} state
 * @property {(name: string, listener: (detail: any) => void) => void} on
 * @property {() => unknown} check
 * @property {() => unknown} beat
 * @property {() => unknown} extend
 * @property {() => unknown} end
 * @property {(quiet: boolean) => unknown} quiet
 */

/**
 * The session of this page, or null where the client did not run.
 * @returns {Session | null}
 */
export function currentSession() {
  return /** @type {any} */ (window).stillhere?.session ?? null
}

/**
 * Signs out. The client tells why and goes to the sign-in page by itself; a page without it asks the server and goes on.
 * @param {string} then where to go
 * @param {string} end the route that signs out, for a page without the client
 */
export async function signOut(then = "/", end = "/session/end") {
  const session = currentSession()
  if (session) {
    await session.end()
    setTimeout(() => location.assign(then), 4000)
    return
  }
  const answer = await fetch(end, { method: "POST", headers: { "X-Stillhere": "1" } })
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`)
  location.assign(then)
}
