// Talking to the dashboard's own API, and the shapes it answers.

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
 */

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
 */

/** The server answered, but not with what was asked for. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {number} retryAfter seconds, 0 when the server named none
   */
  constructor(status, retryAfter) {
    super(status ? `the server answered ${status}` : "the server can’t be reached")
    this.status = status
    this.retryAfter = retryAfter
  }
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<any>}
 */
async function ask(path, init) {
  let answer
  try {
    answer = await fetch(path, { ...init, signal: AbortSignal.timeout(10_000) })
  } catch {
    throw new ApiError(0, 0)
  }
  if (answer.status === 401) {
    location.assign("/admin/login")
    return new Promise(() => {})
  }
  if (!answer.ok) throw new ApiError(answer.status, Number(answer.headers.get("Retry-After")) || 0)
  return answer.json().catch(() => { throw new ApiError(answer.status, 0) })
}

/** @param {string} path */
const read = path => ask(path, { headers: { "X-Heartbeat": "true" } })

/** @returns {Promise<Now>} */
export const getNow = () => read("/admin/api/now")

/**
 * @param {{ visitor?: string, before?: string, limit?: number }} query
 * @returns {Promise<{ visits: Visit[], next: string | null }>}
 */
export function getVisits({ visitor = "", before = "", limit = 50 }) {
  const query = new URLSearchParams({ limit: String(limit) })
  if (visitor) query.set("visitor", visitor)
  if (before) query.set("before", before)
  return read(`/admin/api/visits?${query}`)
}

/**
 * @param {string} id
 * @returns {Promise<{ visit: Visit, views: View[] }>}
 */
export const getVisit = id => read(`/admin/api/visits/${encodeURIComponent(id)}`)

/** @returns {Promise<{ visitors: Visitor[] }>} */
export const getVisitors = () => read("/admin/api/visitors")

/** @param {string} handle */
export const endSession = handle =>
  ask(`/admin/api/sessions/${encodeURIComponent(handle)}/end`, { method: "POST", headers: { "X-Stillhere": "1" } })
