/**
 * Messages out, outcomes in. Knows HTTP; knows nothing of when or why.
 *
 * @import { Body, Outcome } from "./types.js"
 */

const TIMEOUT = 10_000
/** Of statuses that only repeat when repeated. 408, 425 and 429 say "later" themselves. */
const REFUSED_FOR = 300_000
const MOST = 3_600_000

/**
 * @param {string} url
 * @param {object} body
 * @param {boolean} [keepalive]
 */
const post = (url, body, keepalive = true) =>
  fetch(url, {
    method: "POST",
    // The header is what a foreign form can't set.
    headers: { "Content-Type": "application/json", "X-Stillhere": "1" },
    body: JSON.stringify(body),
    redirect: "manual",
    // So that the first beat of a very short visit is not cancelled with its page.
    keepalive,
    signal: AbortSignal.timeout(TIMEOUT),
  })

/**
 * Trouble says nothing of the session.
 * @param {Body} body
 * @param {string} message
 */
export const failed = (body, message) => ({ type: /** @type {const} */ ("failed"), body, message, random: Math.random() })

/**
 * Never rejects: whatever happens is an outcome.
 * @param {string} url
 * @param {Body} body  as the machine made it; comes back in the outcome
 * @param {object} full  what goes on the wire
 * @param {boolean} [keepalive]  whether it may outlive its page
 * @returns {Promise<Outcome & { status?: number, answer?: any }>}
 */
export async function send(url, body, full, keepalive) {
  const attempt = async () => {
    let status, answer, message, retryAfterMs
    try {
      const response = await post(url, full, keepalive)
      status = response.status
      retryAfterMs = Math.min(MOST, /** @type {any} */ (response.headers.get("Retry-After")) * 1e3 || 0)
      answer = await response.json()
      message = answer.detail ?? "HTTP " + status
    } catch (error) {
      message = String(error)
    }
    /** @type {any} */
    const outcome = { ...failed(body, message), status, answer, retryAfterMs }
    // Whatever else stands between us and the server may say 401; only ours gives a reason. An application's own path (`#`) needs none.
    if (status === 401 && (answer?.reason || url.includes("#"))) {
      outcome.type = "over"
      outcome.over = { reason: "no_session", ...answer }
    }
    // The answer to a sign-out (it travels as a `leave`) carries no deadline any more.
    else if (status === 200 && (body.kind === "leave" ? answer?.reason : answer?.expiresInMs >= 0)) outcome.type = "answer"
    else if (/^4(?!08|25|29)/.test(/** @type {any} */ (status))) outcome.patienceMs = REFUSED_FOR
    return outcome
  }
  const first = await attempt()
  // The session may have been given a new id while this message was on its way with the old one. Asked again, it has the new.
  return first.over && first.answer?.reason === "no_session" ? attempt() : first
}

/**
 * Last words. A beacon does not say whether it arrived, so a page that is only hidden waits for an answer; one that is left does not, for
 * that would keep it out of the back/forward cache, and takes a refusal (the 64 KiB of all that may outlive a page are used up) for a loss.
 * @param {string} url
 * @param {object} body
 * @param {() => void} lost  called if nothing arrived, or nobody will know
 * @param {boolean} waits
 */
export function sendBeacon(url, body, lost, waits) {
  if (!navigator.onLine) lost()
  else if (waits) post(url, body).then(({ status }) => status === 200 || status === 401 || lost(), lost)
  else if (!navigator.sendBeacon?.(url, JSON.stringify(body))) lost()
}

/**
 * Last words that the browser keeps, and sends should this page be gone before they are replaced or taken back: also when its process is killed.
 * Where the browser has no `fetchLater`, nothing happens.
 * @param {string} url
 * @returns {(body?: object) => void}
 */
export function createWill(url) {
  /** @type {AbortController | undefined} */
  let last
  return (body) => {
    last?.abort()
    const { signal } = (last = new AbortController())
    try {
      // @ts-ignore  # not yet in the types of the DOM
      if (body) fetchLater(url, { method: "POST", body: JSON.stringify(body), signal })
    } catch {}
  }
}
