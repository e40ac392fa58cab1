/**
 * What is said and what is heard: messages out, one at a time, and what their outcomes do to the state.
 *
 * @import { Answer, Body, Outcome, Over } from "./types.js"
 * @import { Draft } from "./state.js"
 */
import { does, lag } from "./state.js"

/** How soon the server may be asked again, whatever happened. */
export const AGAIN = 1_000
/** The first and the longest step of the backoff. */
export const BACKOFF = 2_000
export const LONGEST = 120_000
const INTERVAL = 180_000

// What we may want to say, by precedence; `end` travels as a `leave` to its own route.
export const LEAVE = 0
export const CHECK = 1
export const BEAT = 2
export const EXTEND = 3
export const END = 4
const KINDS = /** @type {const} */ (["leave", "check", "beat", "extend", "leave"])

/**
 * @param {Draft} s
 * @param {number} what
 */
export function want(s, what) {
  s.wanted = Math.max(s.wanted, what)
}

/** @param {Draft} s @param {number} at */
export function waitUntil(s, at) {
  s.retryAt = Math.max(s.retryAt, at)
}

/**
 * Wants something now: our own backoff is waived, the server's Retry-After is not.
 * @param {Draft} s
 * @param {number} what
 * @param {boolean} [inTurn]  after the tab that speaks
 */
export function ask(s, what, inTurn) {
  s.retryAt = Math.max(s.notBefore, inTurn ? s.at + lag(s) : 0)
  want(s, what)
}

/**
 * @param {Draft} s
 * @param {number} what
 * @param {string} [lifecycle]
 * @returns {Body}
 */
export const message = (s, what, lifecycle = s.onScreen ? "active" : "hidden") => ({
  kind: KINDS[what],
  seq: s.seq++,
  view: s.view,
  visibleMs: Math.floor(s.visibleMs),
  activeMs: Math.floor(s.activeMs),
  // An `extend` that had to wait was chosen then, not now.
  [what === EXTEND ? "ageMs" : "idleMs"]: s.evidenceAt ? Math.round(s.at - s.evidenceAt) : undefined,
  lifecycle,
})

/**
 * Sends what is wanted, if it may be sent: somebody saw the page, nothing is in flight, no backoff.
 * @param {Draft} s
 */
export function speak(s) {
  const what = s.wanted
  if (!what || !s.wasSeen || s.inFlight || s.at < s.retryAt) return
  s.wanted = 0
  s.telling = what
  s.tellingAt = s.evidenceAt
  if (what > CHECK) s.nextBeatAt = Infinity
  s.inFlight = message(s, what)
  does(s, "send", { path: what === END ? "/end" : "/beat", body: s.inFlight })
}

/**
 * The outcome of the message in flight. Trouble says nothing about the session: the same message goes again, later. Full
 * jitter, so that the pages of a server that comes back do not all call in the same second.
 * @param {Draft} s
 * @param {Outcome} outcome
 */
export function heard(s, outcome) {
  const { telling } = s
  s.inFlight = null
  if (outcome.type === "failed") {
    const { message, status, random, retryAfterMs = 0, patienceMs } = outcome
    if (telling !== BEAT || s.onScreen) want(s, telling)
    const backoff = patienceMs ?? random * Math.min(LONGEST, BACKOFF * 2 ** s.failures)
    s.failures++
    // Our own patience ends before the session does.
    const leftMs = s.deadline - s.at
    const retryInMs = Math.max(retryAfterMs, AGAIN, leftMs > 0 ? Math.min(backoff, leftMs / 2) : backoff)
    s.notBefore = s.at + retryAfterMs
    s.retryAt = s.at + retryInMs
    does(s, "error", { detail: { message, status, retryInMs, retryAfterMs } })
    if (s.isWarned) warn(s)
  } else if (outcome.type === "answer") {
    if (telling === END) finish(s, /** @type {Over} */ (outcome.answer))
    else {
      s.follows = false
      answered(s, outcome.answer, telling)
    }
  }
}

/**
 * @param {Draft} s
 * @param {Answer} answer
 * @param {number} telling  what it answers
 * @param {number} [ageMs]  how long ago another tab heard it
 */
export function answered(s, answer, telling, ageMs = 0) {
  s.failures = s.retryAt = s.notBefore = 0
  s.lastAnswer = answer
  s.heardAt = s.at - ageMs
  s.deadline = s.heardAt + answer.expiresInMs
  s.emptyAnswers = answer.expiresInMs ? 0 : s.emptyAnswers + 1
  if (telling > CHECK) s.toldAt = s.tellingAt
  if (telling > CHECK || s.nextBeatAt === Infinity) {
    s.stepMs = Math.min(answer.nextBeatMs || INTERVAL, s.options.interval || Infinity)
    s.nextBeatAt = s.visibleMs + s.stepMs
  }
  // A page that nobody has seen hears, and does nothing about it.
  if (s.wasSeen) does(s, "refreshed", { detail: answer })
  const due = !answer.warnInMs
  if (telling === EXTEND || (s.isWarned && !due)) does(s, "extended")
  // An extension that moved nothing must not trap anybody in the dialog.
  s.dismissed = due && (s.dismissed || (telling === EXTEND && answer.canExtend))
  if (!due || s.dismissed) unwarn(s)
  else if (s.isWarned) warn(s)
}

/**
 * @param {Draft} s
 * @param {Over} over
 * @param {{ ageMs?: number, isOld?: boolean }} [facts]  how long ago that was asked, and whether the other tabs know
 */
export function finish(s, over, facts) {
  unwarn(s)
  s.phase = "ended"
  does(s, "ended", { detail: over, ...facts })
}

/** @param {Draft} s */
export function warn(s) {
  does(s, "warn")
  if (!s.isWarned) does(s, "expiring")
  s.isWarned = true
}

/** @param {Draft} s */
export function unwarn(s) {
  if (s.isWarned) does(s, "unwarn")
  s.isWarned = false
}
