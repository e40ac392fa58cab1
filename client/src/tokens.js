/**
 * Keeps an access token of ours, in memory only, and asks for the next one in time: while somebody is there, or when the application
 * asks. A refresh proves nobody's presence and moves no deadline, so a page that is left alone asks for nothing.
 *
 * No tab waits for another one. The server gives all that present the same refresh token the same successor, and what its cookie
 * brings is every tab's; a lock could only hang.
 *
 * @import { Over, Session } from "./types.js"
 */
import { createBus } from "./bus.js"
import { createClock } from "./clock.js"

const TIMEOUT = 10_000
/** How soon the server may be asked again, whatever happened. */
const AGAIN = 1_000
/** The first and the longest step of the backoff. */
const BACKOFF = 2_000
const LONGEST = 60_000
/** Statuses that only repeat when repeated wait long. 408, 425 and 429 say "later" themselves. */
const REFUSED = /^4(?!08|25|29)/
const REFUSED_FOR = 300_000
/** A Retry-After counts up to here. */
const MOST = 3_600_000
/** Whoever asks waits for one more try, if it comes this soon. */
const PATIENCE = 2_000
/** A token must last this long to be worth sending; of a short one, a tenth of its life. */
const LEEWAY = 5_000
/** The longest a browser's timer can be set for. */
const LONGEST_TIMER = 2 ** 31 - 1

/** @typedef {Error & { status?: number, retryAfterMs?: number, retryInMs?: number, reason?: string }} TokenError */
/**
 * @typedef {object} TokenOptions
 * @property {string} [endpoint]  where the session routes are; default "/session"
 * @property {number} [activityWindow]  ms after an input in which tokens are kept fresh unasked; default 120000
 * @property {string} [prefix]  beginning of the paths of this origin to which `fetch` sends the token; default all
 * @property {string[]} [origins]  other origins to which it does
 * @property {(news: { accessTokenInMs: number }) => void} [onRefreshed]  never told the token itself
 * @property {(error: TokenError) => void} [onError]
 *
 * @typedef {object} Tokens
 * @property {() => Promise<string>} accessToken  one that still lasts; fails if there is none to be had now, with `status`, `retryInMs`,
 *   or, once the session is over, `reason`
 * @property {() => Promise<string>} refresh  a new one, whatever is left of the old: claims have changed
 * @property {(input: RequestInfo | URL, init?: RequestInit) => Promise<Response>} fetch  as the browser's, with the token
 * @property {(name: "refreshed" | "error", fn: (detail: any) => void) => () => void} on
 * @property {() => Promise<Over>} signOut  forgets the token, then ends the session
 * @property {() => void} stop  forgets the token and asks for no other
 */

/**
 * When a token is replaced: at about two thirds of its life, each tab at a moment of its own, and never at once.
 * @param {number} lifeMs
 * @param {number} random  0 to 1
 */
export const dueInMs = (lifeMs, random) => Math.max(AGAIN, lifeMs * (0.6 + 0.15 * random))

/**
 * When to try again. Our own patience ends before the token does, so that a short trouble is never noticed.
 * @param {{ status?: number, retryAfterMs?: number }} trouble
 * @param {number} failures  before this one
 * @param {number} leftMs  of the token
 * @param {number} random  0 to 1
 */
export function retryInMs({ status, retryAfterMs = 0 }, failures, leftMs, random) {
  if (REFUSED.test(String(status))) return Math.max(retryAfterMs, REFUSED_FOR)
  const backoff = random * Math.min(LONGEST, BACKOFF * 2 ** failures)
  return Math.max(retryAfterMs, AGAIN, leftMs > 0 ? Math.min(backoff, leftMs / 2) : backoff)
}

/** @param {string} message @param {Partial<TokenError>} [facts] @returns {TokenError} */
const problem = (message, facts) => Object.assign(new Error(message), facts)

/**
 * Asks for the next token once.
 * @param {string} url
 * @returns {Promise<{ accessToken: string, accessTokenInMs: number } | TokenError>}
 */
async function ask(url) {
  try {
    const response = await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      headers: { "X-Stillhere": "1" },
      redirect: "manual",
      signal: AbortSignal.timeout?.(TIMEOUT),
    })
    const { status, headers } = response
    // What can't be read is told by its status alone: a browser's own words would quote from it, and it may be a token.
    const answer = await response.json().catch(() => ({}))
    if (status === 200 && answer?.accessToken && answer.accessTokenInMs >= 0) return answer
    return problem(answer?.detail ?? "HTTP " + status, { status, retryAfterMs: Math.min(MOST, Number(headers.get("Retry-After")) * 1e3 || 0) })
  } catch (error) {
    return problem(String(error))
  }
}

/**
 * Whether the session lives, which a refused refresh says nothing of. False also if nobody could tell.
 * @param {Session} session
 * @returns {Promise<boolean>}
 */
const lives = (session) =>
  new Promise((done) => {
    const tell = (/** @type {boolean} */ alive) => {
      clearTimeout(timer)
      undos.forEach((undo) => undo())
      done(alive)
    }
    const timer = setTimeout(tell, TIMEOUT, false)
    const undos = ["refreshed", "ended", "error"].map((name) => session.on(name, () => tell(name === "refreshed")))
    session.check()
  })

/**
 * Keeps tokens until the session ends, is stopped, or `stop` is called.
 * @param {Session} session
 * @param {TokenOptions} [options]
 * @returns {Tokens}
 */
export function keepTokens(session, options = {}) {
  const { endpoint = "/session", activityWindow = 120_000, prefix, origins = [] } = options
  const clock = createClock()
  const { on, emit } = createBus()
  on("refreshed", options.onRefreshed)
  on("error", options.onError)

  let token = ""
  let endsAt = 0
  let leewayMs = 0
  let dueAt = 0
  /** Our own backoff, and the server's Retry-After. */
  let retryAt = 0
  let notBefore = 0
  let failures = 0
  let trouble = problem("")
  /** @type {TokenError | undefined} */
  let gone
  /** @type {Promise<string> | undefined} the only refresh on its way */
  let flight
  let timer = 0

  /** @param {number} from  the token's life counts from before it was asked for @param {{ accessToken: string, accessTokenInMs: number }} answer */
  const keep = (from, { accessToken, accessTokenInMs }) => {
    token = accessToken
    endsAt = from + accessTokenInMs
    leewayMs = Math.min(LEEWAY, accessTokenInMs / 10)
    dueAt = Math.max(clock() + AGAIN, from + dueInMs(accessTokenInMs, Math.random()))
    failures = retryAt = notBefore = 0
    emit("refreshed", { accessTokenInMs: Math.max(0, Math.round(endsAt - clock())) })
    return token
  }
  /** @param {TokenError} error @returns {number} */
  const fail = (error) => {
    const now = clock()
    const wait = (error.retryInMs = retryInMs(error, failures++, endsAt - now, Math.random()))
    retryAt = now + wait
    notBefore = now + (error.retryAfterMs ?? 0)
    emit("error", (trouble = error))
    return wait
  }
  const fly = async () => {
    for (let isConfirmed = false; ; ) {
      const from = clock()
      let answer = await ask(endpoint + "/refresh")
      // Whoever has signed out meanwhile gets no token any more.
      if (gone) throw gone
      if (!(answer instanceof Error)) return keep(from, answer)
      if (answer.status === 401 && !isConfirmed) {
        isConfirmed = await lives(session)
        if (gone) throw gone
        // Somebody may have signed in again between the two. Asked again, it is that session's token.
        if (isConfirmed) continue
        answer = problem("nobody could tell whether the session is over")
      }
      const wait = fail(answer)
      if (failures > 1 || wait > PATIENCE) throw answer
      await new Promise((done) => setTimeout(done, wait))
      if (gone) throw gone
    }
  }
  const start = () =>
    (flight ??= fly().finally(() => {
      flight = undefined
      settle()
    }))
  const startUnasked = () => void start().catch(() => {})

  /** Whoever is active here wants a fresh token; in a page that nobody sees or touches nobody does. */
  const settle = () => {
    clearTimeout(timer)
    if (gone || flight || document.visibilityState !== "visible") return
    const wait = Math.max(dueAt, retryAt) - clock()
    const { idleMs } = session.state()
    if (wait > 0) timer = Number(setTimeout(settle, Math.min(LONGEST_TIMER, Math.ceil(wait))))
    else if (idleMs !== null && idleMs <= activityWindow) startUnasked()
    else timer = Number(setTimeout(settle, AGAIN))
  }
  const listening = new AbortController()
  const { signal } = listening
  /** Timers are late after sleep, and what kept us waiting may be over. */
  const look = () => {
    retryAt = notBefore
    settle()
  }
  for (const type of ["visibilitychange", "resume", "online", "pageshow"]) addEventListener(type, look, { capture: true, signal })

  const stop = (/** @type {Over | void} */ over) => {
    gone ??= problem(over?.detail ?? "there are no tokens any more: signed out, or stopped", { reason: over?.reason })
    token = ""
    endsAt = 0
    clearTimeout(timer)
    listening.abort()
  }
  session.on("ended", stop)
  session.onStop(stop)
  if (session.state().state === "ended") stop()
  settle()

  const accessToken = async () => {
    if (gone) throw gone
    const now = clock()
    if (endsAt - now > leewayMs) {
      if (now >= Math.max(dueAt, retryAt)) startUnasked()
      return token
    }
    if (!flight && now < retryAt) throw trouble
    return start()
  }
  const refresh = async () => {
    if (gone) throw gone
    if (!flight && clock() < notBefore) throw trouble
    return start()
  }
  const routes = new URL(endpoint + "/", document.baseURI).href
  const named = origins.map((url) => new URL(url).origin)
  /** The session's own routes go by its cookie; a `blob:` has no path. @param {string} url */
  const isOurs = (url) => {
    const { origin, pathname } = new URL(url)
    return named.includes(origin) || (origin === self.origin && pathname.startsWith(prefix || "/") && !url.startsWith(routes))
  }
  return {
    accessToken,
    refresh,
    on,
    async fetch(input, init) {
      const request = new Request(input, init)
      if (!isOurs(request.url) || request.headers.has("Authorization")) return fetch(request)
      const again = request.clone()
      const bear = (/** @type {Request} */ one, /** @type {string} */ text) => {
        one.headers.set("Authorization", "Bearer " + text)
        return fetch(one)
      }
      const used = await accessToken()
      const response = await bear(request, used)
      if (response.status !== 401) return response
      // Another request may have got a new one already. Where there is none to be had, the 401 is the answer.
      const next = await (token === used ? refresh() : accessToken()).catch(() => "")
      if (!next) return response
      response.body?.cancel().catch(() => {})
      return bear(again, next)
    },
    signOut() {
      stop()
      return session.end()
    },
    stop: () => stop(),
  }
}
