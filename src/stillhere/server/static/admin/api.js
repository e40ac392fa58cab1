// Talking to the dashboard's own API, and the shapes it answers.

/**
 * @typedef {object} Me
 * @property {string} operator
 * @property {"viewer" | "operator"} role
 * @property {string | boolean | null} signOut where to sign out, if there is a way
 * @property {string} zone the server's own IANA zone
 * @property {string} siteName
 */

/**
 * @typedef {object} Here
 * @property {string} session handle
 * @property {string | null} visit
 * @property {string} visitor
 * @property {string | null} page
 * @property {string | null} title
 * @property {string | null} lifecycle
 * @property {"active" | "expiring" | "ended"} state
 * @property {string | null} endedBy how the visit ended, once it did
 * @property {boolean} present
 * @property {boolean} left
 * @property {string} startedAt
 * @property {number} openMs
 * @property {number} visibleMs
 * @property {number} activeMs
 * @property {number} lastSeenMs
 * @property {number} lastActiveMs
 * @property {number} expiresInMs
 * @property {number} tabs
 * @property {boolean} [onScreen]
 * @property {string | null} [device]
 * @property {boolean} [verified]
 * @property {boolean} [internal]
 */

/**
 * @typedef {object} Now
 * @property {string} at
 * @property {Here[]} here
 * @property {{ here: number, sessions: number, visitsToday: number, visibleTodayMs: number, medianVisibleTodayMs: number | null }} totals
 */

/**
 * @typedef {object} Visit
 * @property {string} id
 * @property {string} session
 * @property {string} visitor
 * @property {string} startedAt
 * @property {string | null} endedAt
 * @property {number} openMs
 * @property {number} visibleMs
 * @property {number} activeMs
 * @property {number} views
 * @property {string | null} endedBy
 * @property {boolean} here
 * @property {string | null} [device]
 * @property {boolean} [verified]
 * @property {boolean} [internal]
 * @property {boolean} [excluded]
 * @property {number} [uncertainMs] how much may be missing at most
 * @property {string} [told] all of that in a sentence
 */

/** @typedef {{ state: "active" | "idle" | "hidden", from: string, to: string }} Band */

/**
 * @typedef {object} View
 * @property {string} view
 * @property {string} tab
 * @property {string} page
 * @property {string | null} title
 * @property {string} openedAt
 * @property {string} lastSeenAt
 * @property {number} visibleMs
 * @property {number} activeMs
 * @property {number | null} scrollPct
 * @property {string | null} lifecycle
 * @property {number[] | null} [heat] 20 spans, from the page's top to its end
 * @property {Band[] | null} [bands]
 */

/**
 * @typedef {object} Visitor
 * @property {string} visitor
 * @property {number} visits
 * @property {number} openMs
 * @property {number} visibleMs
 * @property {number} activeMs
 * @property {string} firstAt
 * @property {string} lastAt
 * @property {number | null} [medianVisibleMs]
 * @property {number} [totalMinutes]
 * @property {boolean} [verified]
 * @property {boolean} [internal]
 */

/** @typedef {{ q1: number | null, median: number | null, q3: number | null, sum?: number }} Quartiles */

/**
 * @typedef {object} Page
 * @property {string} page
 * @property {string | null} title
 * @property {number} views
 * @property {number} visitors
 * @property {Quartiles} visible
 * @property {Quartiles} active
 * @property {Quartiles} scroll
 * @property {number[] | null} heat
 */

/** @typedef {{ from: string, to: string, visits: number, visitors: number, visibleMs: number, activeMs: number }} Bucket */
/** @typedef {{ fromMs: number, toMs: number | null, visits: number }} Bin */
/** @typedef {{ at: string, visitors: number }} Crowd */
/** @typedef {{ visits: number, visitors: number, openMs: number, visibleMs: number, activeMs: number, visible: Quartiles }} Totals */
/** @typedef {{ at: string, operator: string, action: string, target: string | null, detail: unknown }} Entry */

/**
 * @typedef {object} Mirror
 * @property {string} name
 * @property {string} kind
 * @property {string} state
 * @property {number} pending
 * @property {number} sent
 * @property {number} dead
 * @property {number | null} lagMs
 * @property {string | null} lastSentAt
 * @property {string | null} lastError
 */

/** @typedef {{ id: string | number, visit: string, at: string, attempts: number, error: string }} Letter */

/** The server answered, but not with what was asked for. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 when nothing was answered
   * @param {number} [retryAfter] seconds, 0 when the server named none
   * @param {{ detail?: string, field?: string }} [problem]
   */
  constructor(status, retryAfter = 0, { detail, field } = {}) {
    super(detail ?? (status ? `The server answered ${status}.` : "The server can’t be reached."))
    this.status = status
    this.retryAfter = retryAfter
    this.field = field ?? null
  }

  /** Whether asking again by itself makes sense. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

const PATIENCE_MS = 20_000

/** Leaves for the sign-in page; what was shown is taken away at once. */
export function toSignIn() {
  document.getElementById("view")?.replaceChildren()
  location.assign(`/admin/login?next=${encodeURIComponent(location.pathname + location.search)}`)
}

/**
 * @param {string} path under `/admin/api/`
 * @param {RequestInit} [init]
 * @param {number} [patience] ms until it is given up; 0 waits for ever
 * @returns {Promise<Response>} an answer that is all right
 */
export async function ask(path, init = {}, patience = PATIENCE_MS) {
  const signals = [...(patience ? [AbortSignal.timeout(patience)] : []), ...(init.signal ? [init.signal] : [])]
  let answer
  try {
    answer = await fetch(`/admin/api/${path}`, { ...init, signal: AbortSignal.any(signals) })
  } catch (error) {
    init.signal?.throwIfAborted()
    throw new ApiError(0)
  }
  if (answer.ok) return answer
  if (answer.status === 401) {
    toSignIn()
    return new Promise(() => {})
  }
  const problem = await answer.json().catch(() => ({}))
  throw new ApiError(answer.status, Number(answer.headers.get("Retry-After")) || 0, problem)
}

/**
 * Asks for JSON. Marked as background, for looking is not living.
 * @param {string} path
 * @param {URLSearchParams | Record<string, string>} [query]
 * @param {AbortSignal} [signal]
 * @param {number} [patience] ms until it is given up
 * @returns {Promise<any>}
 */
export async function read(path, query = {}, signal, patience) {
  const words = new URLSearchParams(query).toString()
  const answer = await ask(words ? `${path}?${words}` : path, { headers: { "X-Heartbeat": "true" }, signal }, patience)
  return answer.json().catch(() => { throw new ApiError(answer.status, 0, { detail: "The server’s answer can’t be read." }) })
}

/**
 * Does something, as an operator.
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function act(path, body) {
  const headers = { "X-Stillhere": "1", ...(body === undefined ? {} : { "Content-Type": "application/json" }) }
  const answer = await ask(path, { method: "POST", headers, body: body === undefined ? null : JSON.stringify(body) })
  return answer.json().catch(() => ({}))
}

/**
 * What went wrong, as a sentence.
 * @param {unknown} error
 */
export const sentence = error =>
  error instanceof ApiError && error.status === 403 ? "This needs an operator; you are signed in as a viewer."
  : error instanceof Error ? error.message : "Something unexpected happened."
