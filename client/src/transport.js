/**
 * Messages out, outcomes in. Knows HTTP; knows nothing of when or why.
 *
 * @import { Body, Outcome } from "./types.js"
 */

const TIMEOUT = 10_000
/** Statuses that only repeat when repeated, so they wait long. 408, 425 and 429 say "later" themselves. */
const REFUSED = /^4(?!08|25|29)/
const REFUSED_FOR = 300_000
const MOST = 3_600_000

/**
 * @param {string} url
 * @param {object} body
 * @param {number} timeout
 */
const post = (url, body, timeout) =>
  fetch(url, {
    method: "POST",
    credentials: "same-origin",
    // The header is what a foreign form can't set.
    headers: { "Content-Type": "application/json", "X-Stillhere": "1" },
    body: JSON.stringify(body),
    redirect: "manual",
    // So that the first beat of a very short visit is not cancelled with its page.
    keepalive: true,
    signal: AbortSignal.timeout?.(timeout),
  })

/**
 * Never rejects: whatever happens is an outcome.
 * @param {string} url
 * @param {Body} body  as the machine made it; comes back in the outcome
 * @param {object} [full]  what goes on the wire
 * @param {number} [timeout]
 * @returns {Promise<{ outcome: Outcome, status?: number, answer?: any }>}
 */
export async function send(url, body, full = body, timeout = TIMEOUT) {
  const first = await attempt(url, body, full, timeout)
  // The session may have been given a new id while this message was on its way with the old one. Asked again, it has the new.
  return first.answer?.reason === "no_session" && first.status === 401 ? attempt(url, body, full, timeout) : first
}

/** @type {(url: string, body: Body, full: object, timeout: number) => ReturnType<typeof send>} */
async function attempt(url, body, full, timeout) {
  let status, answer, message, retryAfterMs
  try {
    const response = await post(url, full, timeout)
    status = response.status
    retryAfterMs = Math.min(MOST, Number(response.headers.get("Retry-After")) * 1e3 || 0)
    answer = await response.json()
    message = answer.detail
  } catch (error) {
    message = String(error)
  }
  /** @type {Outcome} */
  let outcome = { type: "failed", body, message: message ?? "HTTP " + status, status, retryAfterMs, random: Math.random() }
  // Whatever else stands between us and the server may say 401; only ours gives a reason. An application's own path (`#`) needs none.
  if (status === 401 && (answer?.reason || url.includes("#"))) outcome = { type: "over", over: { reason: "no_session", ...answer }, body }
  // The answer to a sign-out (it travels as a `leave`) carries no deadline any more.
  else if (status === 200 && (body.kind === "leave" ? answer?.reason : answer?.expiresInMs >= 0)) outcome = { type: "answer", body, answer }
  else if (REFUSED.test(String(status))) outcome.patienceMs = REFUSED_FOR
  return { outcome, status, answer }
}

/**
 * Last words. A beacon does not say whether it arrived, so a page that is only hidden waits for an answer; one that is left does not, for
 * that would keep it out of the back/forward cache. A refused beacon (its 64 KiB are used up) goes by fetch.
 * @param {string} url
 * @param {object} body
 * @param {() => void} lost  called if it is known that nothing arrived
 * @param {boolean} waits
 */
export function sendBeacon(url, body, lost, waits) {
  const blob = new Blob([JSON.stringify(body)], { type: "text/plain" })
  if (!navigator.onLine) lost()
  else if (waits || !navigator.sendBeacon?.(url, blob)) {
    post(url, body, TIMEOUT).then(({ status }) => status === 200 || status === 401 || lost(), lost)
  }
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
