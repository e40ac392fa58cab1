/**
 * Leaving: once, for the right place, with the way back, and not before what a person typed is safe.
 *
 * @import { Options, Over, Snapshot, UI } from "./types.js"
 */

/** So many redirects of this tab in so much time are a loop. */
const MOST = 3
const WITHIN = 60_000
/** An application that saves drafts is waited for this long. */
const SAVING = 3_000

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
 * Whether this tab may send itself away once more. It remembers over reloads, unless storage is forbidden.
 * @param {string} name
 */
function mayLeave(name) {
  const now = Date.now()
  let times = []
  try {
    times = JSON.parse(sessionStorage[name] || "[]").filter((/** @type {number} */ at) => now - at < WITHIN)
    if (times.length < MOST) sessionStorage[name] = JSON.stringify([...times, now])
  } catch {}
  return times.length < MOST
}

/** @param {number} ms @param {AbortSignal} [signal]  never comes back once this is aborted */
const pause = (ms, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, ms)
    signal?.addEventListener("abort", () => clearTimeout(timer))
  })

/**
 * @param {string} name  of this client in the browser's storage
 * @param {Options} options
 * @param {UI} [ui]
 * @param {() => boolean} [isUnsaved]  whether a person typed what would be lost
 */
export function createEnding(name, options, ui, isUnsaved = () => false) {
  /** @type {string | null} */
  let leaveTo = null
  /** @type {Over} */
  let over
  /** @type {Promise<unknown>} */
  let saved
  let isFinal = false
  let isAsking = false

  const save = async (/** @type {Over | Snapshot} */ detail) => {
    try {
      if (options.saveDrafts) await Promise.race([options.saveDrafts(detail), pause(SAVING)])
    } catch (error) {
      reportError(error)
    }
  }
  const leave = async () => {
    await saved
    if (leaveTo) location.replace(leaveTo)
  }
  const redirect = async () => {
    await saved
    if (!leaveTo) return
    if (mayLeave(name)) location.replace(leaveTo)
    else ui?.notice(over, leave)
  }
  /** Whoever signs out wants nothing to stay. */
  const isKept = () => over.reason !== "signed_out" && isUnsaved()
  /** @param {AbortSignal} [signal] */
  const show = async (signal) => {
    const stays = isKept()
    ui?.notice(over, leaveTo ? leave : null, stays)
    if (stays) return
    await pause(Math.max(500, options.notice ?? 2_500), signal)
    redirect()
  }
  /** Somebody looks at a page of which another tab told the end, and may have signed in again there. */
  const turn = async () => {
    if (isKept()) return ui?.notice(over, leave, true)
    if (isAsking || !leaveTo) return
    isAsking = true
    ui?.sealPage()
    const { status } = await fetch(options.endpoint ?? "/session").catch(() => ({ status: 0 }))
    isAsking = false
    if (status === 200) location.reload()
    else redirect()
  }
  /** Another tab shows the notice. @param {AbortSignal} signal */
  const follow = async (signal) => {
    for (const type of ["focus", "visibilitychange"]) addEventListener(type, () => document.hidden || turn(), { signal })
    ui?.sealPage()
    // Of two windows side by side the one that is looked at may not have got it.
    if (!document.hasFocus()) return
    await pause(options.notice ?? 2_500, signal)
    turn()
  }
  return {
    redirect: turn,
    /** @param {Snapshot} snapshot */
    warn(snapshot) {
      if (!isFinal && !snapshot.canExtend) save(snapshot)
      isFinal = !snapshot.canExtend
    },
    /**
     * @param {Over} ended
     * @param {() => Promise<boolean>} claim  whether it is this tab that shows the notice; if not, it goes when it is looked at
     * @param {AbortSignal} signal  the client stops, or its page is left
     * @returns {boolean} whether the page stays
     */
    depart(ended, claim, signal) {
      over = ended
      saved = save(over)
      // An application that handles the ending itself and names no sign-in page is left alone.
      const login = options.login ?? (!options.onSessionExpired && "/")
      leaveTo = login ? signInUrl(login, location.href, over.reason) : null
      if (!login || (!leaveTo && over.reason === "no_session")) return true
      // Only what has something to show may take the notice from the others.
      claim().then((isMine) => {
        if (!signal.aborted) isMine || isKept() ? show(signal) : follow(signal)
      })
      return !leaveTo
    },
  }
}
