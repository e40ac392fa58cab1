/**
 * What the machine knows: one frozen record after each step, a draft of it within one. And what follows from it, derived each time.
 *
 * @import { Answer, Body, Countdown, Effect, StateName, Totals } from "./types.js"
 */

/** While visible we look at least this often, so that sleep costs at most one such step of what is counted. */
export const TICK = 5_000
/** How late a timer may be before the gap is taken for sleep. */
export const SLACK = 5_000

/** @typedef {{ view: string, interval?: number, activityWindow?: number, lag?: number }} MachineOptions */
/** @typedef {ReturnType<typeof draft>} Draft */
/** @typedef {Readonly<Draft>} State */

/** Instants are 0 for "never". @param {MachineOptions} options */
export const draft = (options) => ({
  options,
  view: options.view,
  effects: /** @type {Effect[]} */ ([]),
  phase: "",
  stateName: /** @type {StateName} */ ("unknown"),
  at: 0,
  timerAt: 0,
  onScreen: false,
  wasSeen: false,
  leftAt: 0,
  seq: 0,
  visibleMs: 0,
  activeMs: 0,
  inputAt: 0,
  inputVisibleMs: 0,
  evidenceAt: 0,
  wanted: 0,
  inFlight: /** @type {Body | null} */ (null),
  telling: 0,
  tellingAt: 0,
  toldAt: 0,
  lastAnswer: /** @type {Answer | null} */ (null),
  heardAt: 0,
  deadline: 0,
  emptyAnswers: 0,
  nextBeatAt: Infinity,
  stepMs: 0,
  ridesAt: 0,
  follows: false,
  latchedFor: 0,
  isWarned: false,
  dismissed: false,
  failures: 0,
  retryAt: 0,
  notBefore: 0,
})

/** @type {(options: MachineOptions) => State} */
export const initial = draft

/**
 * Lets time pass. A visible gap that no timer interrupted, though one was due, was sleep: it counts nothing.
 * @param {Draft} s
 * @param {number} now
 * @returns {boolean} whether there was such a gap, on screen or not
 */
export function advance(s, now) {
  const gap = Math.max(0, now - s.at)
  s.at += gap
  const slept = s.at > s.timerAt + SLACK
  if (s.onScreen && !slept) s.visibleMs += gap
  return slept
}

/**
 * What is left of an answer after some time.
 * @param {Answer | null} answer
 * @param {number} elapsedMs
 * @returns {Countdown}
 */
export function countdown(answer, elapsedMs) {
  const left = (/** @type {"expiresInMs" | "warnInMs" | "idleInMs" | "absoluteInMs"} */ name) =>
    answer && Math.max(0, Math.round(answer[name] - elapsedMs))
  const expiresInMs = left("expiresInMs")
  const warnInMs = left("warnInMs")
  return {
    state: expiresInMs ? (warnInMs ? "active" : "expiring") : "unknown",
    expiresInMs,
    warnInMs,
    idleInMs: left("idleInMs"),
    absoluteInMs: left("absoluteInMs"),
  }
}

/**
 * What the state says at `now`, for people and applications.
 * @param {State} state
 * @param {number} now
 * @returns {Countdown & Totals}
 */
export function look(state, now) {
  const s = { ...state }
  advance(s, now)
  const left = countdown(s.lastAnswer, s.at - s.heardAt)
  return {
    ...left,
    state: s.phase === "ended" ? "ended" : left.state,
    canExtend: !!s.lastAnswer?.canExtend,
    failures: s.failures,
    visibleMs: Math.floor(s.visibleMs),
    activeMs: Math.floor(s.activeMs),
    idleMs: s.inputAt ? Math.round(s.at - s.inputAt) : null,
    view: s.view,
  }
}

/** How much later than the speaking tab a following one does what is due. @param {Draft} s */
export const lag = (s) => (s.follows && s.options.lag) || 0

/**
 * @param {Draft} s
 * @param {Effect["type"]} type
 * @param {object} [facts]
 */
export const does = (s, type, facts) => s.effects.push(/** @type {Effect} */ ({ type, ...facts }))
