/**
 * The machine: `step(state, event, now) -> [state, effects]`. Pure; it reads no clock, rolls no dice, touches no page.
 *
 * Theory of operation. A page has four questions at any moment, and `settle` answers them after every event:
 * does something have to be said (`want`), may it be said now (one message in flight, backoff, seen by somebody), must the warning
 * show or go, and when must we look again. Events only record facts. Nothing is decided from a timer having fired;
 * everything is recomputed from the last answer plus the time since.
 *
 *   event                what it records                                 what may follow
 *   visible              on screen: time runs; after half an hour a new view  a beat at once
 *   hidden, pagehide     off screen: time stands                         one `leave` by beacon
 *   restored             back from the back/forward cache: a new view    a beat at once; if ended: the redirect again
 *   online               that waiting may be over                        our backoff is waived; the server is asked
 *   input                activity; evidence, unless the warning shows    near the deadline: a beat at once
 *   navigated            the same page shows something else: a new view   the old view's last words, a beat
 *   timer                nothing                                         whatever is due; last words, should this page be killed
 *   stay                 a person's choice                               an `extend`
 *   dismiss              that the warning has been read                  it closes
 *   check, beat, end     what the application wants said                 just that
 *   answer               a new deadline, a next beat                     the warning goes or stays
 *   failed               nothing about the session                       the same message later
 *   over                 the end, once and for ever                      notice and redirect; then silence
 *
 *   from another tab
 *   ride                 nothing                                         our totals, to go with its message
 *   heard                its answer is ours, too                         our own question is spared
 *   waits                that it could not be answered                   we wait a little longer than it does
 *   evidence             input there                                     as input here, for the deadline only
 *   dismiss, over        as above
 *
 * A tab that last heard the server through another one follows: whatever falls due it does a moment later (`lag`), so that the other
 * one does it first, and for both. If that one is gone, frozen or stopped, the moment passes and the next tab speaks. Nobody is elected.
 *
 * `now` is elapsed milliseconds that never run back and that jump over sleep (clock.js).
 *
 * @import { Answer, Body, Countdown, Effect, Event, Outcome, Over, StateName, Totals } from "./types.js"
 */

/** While visible we look at least this often, so that sleep costs at most one such step of what is counted. */
export const TICK = 5_000
/** How late a timer may be before the gap is taken for sleep. */
export const SLACK = 5_000
/** An answer older than this is not shown as a warning: another tab may have moved the deadline. */
export const FRESH = 5_000
/** While the warning shows, the server is asked this often whether it still holds. */
export const WATCH = 20_000
/** Untold input is told this long before the deadline at the latest. */
export const LATCH = 10_000
/** How soon the server may be asked again, whatever happened. */
export const AGAIN = 1_000
/** A return after this long is a new viewing of the page. */
export const VISIT_GAP = 1_800_000
/** The first and the longest step of the backoff. */
export const BACKOFF = 2_000
export const LONGEST = 120_000
const DAY = 86_400_000
const INTERVAL = 180_000
const ACTIVITY_WINDOW = 120_000

// What we may want to say, by precedence; `end` travels as a `leave` to its own route.
const CHECK = 1
const BEAT = 2
const EXTEND = 3
const END = 4
const KINDS = /** @type {const} */ (["leave", "check", "beat", "extend", "leave"])

/** @typedef {{ view: string, interval?: number, activityWindow?: number, lag?: number }} MachineOptions */
/** @typedef {ReturnType<typeof draft>} Draft */
/** @typedef {Readonly<Draft>} State */

/** Instants are 0 for "never". @param {MachineOptions} options */
const draft = (options) => ({
  options,
  view: options.view,
  effects: /** @type {Effect[]} */ ([]),
  phase: "",
  stateName: /** @type {StateName} */ ("unknown"),
  at: 0,
  timerAt: 0,
  onScreen: false,
  wasSeen: false,
  hasLeft: false,
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

/**
 * @param {State} state
 * @param {Event} event
 * @param {number} now
 * @returns {[State, Effect[]]}
 */
export function step(state, event, now) {
  const { type } = event
  if (state.phase) {
    // Back from the cache after the end: what the page shows is nobody's any more.
    return [state, state.phase === "ended" && type === "restored" ? [{ type: "redirect" }] : []]
  }
  const s = { ...state, effects: [] }
  if (advance(s, now)) {
    unwarn(s)
    ask(s, BEAT)
  }
  react(s, event)
  if (!s.phase) settle(s)
  if (type === "timer" && s.onScreen) {
    does(s, { type: "will", body: message(s, 0, "terminated") })
    // Unsaid as long as the page lives, so its number is free.
    s.seq--
  }
  const { state: name } = look(s, s.at)
  if (name !== s.stateName || type === "answer" || type === "heard") does(s, { type: "state" })
  s.stateName = name
  return [s, s.effects]
}

/**
 * @param {Draft} s
 * @param {Effect} effect
 */
const does = (s, effect) => s.effects.push(effect)

/**
 * Lets time pass. A visible gap that no timer interrupted, though one was due, was sleep: it counts nothing.
 * @param {Draft} s
 * @param {number} now
 * @returns {boolean} whether there was such a gap
 */
function advance(s, now) {
  const gap = Math.max(0, now - s.at)
  s.at += gap
  const slept = s.onScreen && s.at > s.timerAt + SLACK
  if (s.onScreen && !slept) s.visibleMs += gap
  return slept
}

/**
 * @param {Draft} s
 * @param {Event} event
 */
function react(s, event) {
  const { type } = event
  if (type === "visible") {
    if (s.hasLeft && s.at - s.leftAt > VISIT_GAP) renew(s, event.view)
    if (!s.onScreen) show(s)
  } else if (type === "restored") {
    renew(s, event.view)
    if (event.visible) show(s)
  } else if (type === "hidden") leave(s, type)
  else if (type === "pagehide") leave(s, "terminated")
  else if (type === "stop") {
    leave(s, "terminated")
    s.phase = type
  } else if (type === "navigated") navigate(s, event.view)
  else if (type === "input") input(s)
  else if (type === "stay") {
    s.evidenceAt = s.at
    ask(s, EXTEND)
  } else if (type === "dismiss") {
    s.dismissed = true
    unwarn(s)
  } else if (type === "check") ask(s, CHECK)
  else if (type === "end") ask(s, END)
  else if (type === "over") finish(s, event.over)
  // A beat comes from a page on screen; from a hidden one it is only a question.
  else if (type === "beat" || type === "online") ask(s, s.onScreen ? BEAT : CHECK, type === "online")
  else if ("body" in event) {
    if (event.body === s.inFlight) heard(s, event)
  } else overhear(s, event)
}

/**
 * What another tab lets us know.
 * @param {Draft} s
 * @param {Event} event
 */
function overhear(s, event) {
  const { type } = event
  if (type === "ride") {
    if (!s.onScreen || s.inFlight) return
    s.ridesAt = s.evidenceAt
    does(s, { type, body: message(s, BEAT) })
  } else if (type === "heard" && s.at - event.ageMs >= s.heardAt) {
    const rode = event.views.includes(s.view)
    if (s.wanted <= (rode ? BEAT : CHECK)) s.wanted = 0
    if (rode) {
      s.toldAt = s.ridesAt
      // Its own ramp goes on; without one yet, the other's answer will do.
      s.nextBeatAt = s.stepMs ? s.visibleMs + s.stepMs : Infinity
    }
    s.follows = true
    answered(s, event.answer, CHECK, event.ageMs)
  } else if (type === "waits") {
    s.follows = true
    s.notBefore = Math.max(s.notBefore, s.at + event.retryAfterMs)
    s.retryAt = Math.max(s.retryAt, s.at + event.retryInMs + lag(s))
  } else if (type === "evidence" && !s.isWarned) s.evidenceAt = Math.max(s.evidenceAt, s.at - event.ageMs)
}

/** How much later than the speaking tab a following one does what is due. @param {Draft} s */
const lag = (s) => (s.follows && s.options.lag) || 0

/**
 * The application shows another page without loading one. The person, the deadline and whatever is on its way stay.
 * @param {Draft} s
 * @param {string} view
 */
function navigate(s, view) {
  if (s.wasSeen && !s.hasLeft) does(s, { type: "keep", body: message(s, 0, "terminated") })
  s.view = view
  s.seq = s.visibleMs = s.activeMs = s.inputVisibleMs = s.stepMs = 0
  s.nextBeatAt = Infinity
  if (s.onScreen) want(s, BEAT)
}

/**
 * A restored page, or one that was away for long, is a new view that knows nothing yet; only a Retry-After outlives the old one.
 * @param {Draft} s
 * @param {string} view
 */
function renew(s, view) {
  unwarn(s)
  const { effects, at, notBefore, stateName } = s
  Object.assign(s, draft({ ...s.options, view }), { effects, at, notBefore, stateName })
}

/**
 * @param {Draft} s
 * @param {number} what
 */
function want(s, what) {
  s.wanted = Math.max(s.wanted, what)
}

/**
 * Wants something now: our own backoff is waived, the server's Retry-After is not.
 * @param {Draft} s
 * @param {number} what
 * @param {boolean} [inTurn]  after the tab that speaks
 */
function ask(s, what, inTurn) {
  s.retryAt = Math.max(s.notBefore, inTurn ? s.at + lag(s) : 0)
  want(s, what)
}

/** @param {Draft} s */
function show(s) {
  s.onScreen = s.wasSeen = true
  s.hasLeft = false
  // The timers of a hidden page prove nothing about sleep.
  s.timerAt = s.at
  ask(s, BEAT)
}

/**
 * @param {Draft} s
 * @param {string} lifecycle
 */
function leave(s, lifecycle) {
  s.onScreen = false
  // What a hidden page still wanted to ask, its return asks anyway.
  if (s.wanted <= BEAT) s.wanted = 0
  if (s.wasSeen && !s.hasLeft) does(s, { type: "beacon", body: message(s, 0, lifecycle) })
  if (!s.hasLeft) s.leftAt = s.at
  s.hasLeft = true
}

/**
 * Activity is the visible part of the time between two inputs; the wait after the last one is never counted.
 * While the warning shows, input is no evidence: staying is a choice, not an accident of the mouse.
 * @param {Draft} s
 */
function input(s) {
  if (s.inputAt && s.at - s.inputAt <= (s.options.activityWindow || ACTIVITY_WINDOW)) {
    s.activeMs += s.visibleMs - s.inputVisibleMs
  }
  s.inputAt = s.at
  s.inputVisibleMs = s.visibleMs
  if (!s.isWarned) s.evidenceAt = s.at
}

/**
 * @param {Draft} s
 * @param {number} what
 * @param {string} [lifecycle]
 * @returns {Body}
 */
const message = (s, what, lifecycle = s.onScreen ? "active" : "hidden") => ({
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
 * The outcome of the message in flight. Trouble says nothing about the session: the same message goes again, later. Full
 * jitter, so that the pages of a server that comes back do not all call in the same second.
 * @param {Draft} s
 * @param {Outcome} outcome
 */
function heard(s, outcome) {
  const { telling } = s
  s.inFlight = null
  if (outcome.type === "failed") {
    const { message, status, random, retryAfterMs = 0 } = outcome
    if (telling !== BEAT || s.onScreen) want(s, telling)
    const retryInMs = Math.max(retryAfterMs, AGAIN, random * Math.min(LONGEST, BACKOFF * 2 ** s.failures++))
    s.notBefore = s.at + retryAfterMs
    s.retryAt = s.at + retryInMs
    does(s, { type: "error", detail: { message, status, retryInMs, retryAfterMs } })
    if (s.isWarned) warn(s)
  } else if (outcome.type === "answer") {
    if (telling === END) finish(s, { reason: outcome.answer.reason ?? "signed_out" })
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
function answered(s, answer, telling, ageMs = 0) {
  s.failures = s.retryAt = s.notBefore = 0
  s.lastAnswer = answer
  s.heardAt = s.at - ageMs
  if (telling > CHECK) s.toldAt = s.tellingAt
  if (telling > CHECK || s.nextBeatAt === Infinity) {
    s.stepMs = Math.min(answer.nextBeatMs || INTERVAL, s.options.interval || Infinity)
    s.nextBeatAt = s.visibleMs + s.stepMs
  }
  does(s, { type: "refreshed", detail: answer })
  const due = !answer.warnInMs
  if (telling === EXTEND || (s.isWarned && !due)) does(s, { type: "extended" })
  // An extension that moved nothing must not trap anybody in the dialog.
  s.dismissed = due && (s.dismissed || (telling === EXTEND && answer.canExtend))
  if (!due || s.dismissed) unwarn(s)
  else if (s.isWarned) warn(s)
}

/**
 * @param {Draft} s
 * @param {Over} over
 */
function finish(s, over) {
  unwarn(s)
  s.phase = "ended"
  does(s, { type: "ended", detail: over })
}

/** @param {Draft} s */
function warn(s) {
  does(s, { type: "warn" })
  if (!s.isWarned) does(s, { type: "expiring" })
  s.isWarned = true
}

/** @param {Draft} s */
function unwarn(s) {
  if (s.isWarned) does(s, { type: "unwarn" })
  s.isWarned = false
}

/** @param {Draft} s */
function settle(s) {
  const times = [s.at + (s.onScreen ? TICK : DAY), s.retryAt]
  if (s.onScreen) {
    const dueInMs = s.nextBeatAt + lag(s) - s.visibleMs
    if (dueInMs <= 0) want(s, BEAT)
    times.push(s.at + dueInMs)
  }
  if (s.lastAnswer) times.push(...judge(s, s.lastAnswer))
  speak(s)
  s.timerAt = Math.min(...times.filter((time) => time > s.at))
  does(s, { type: "timer", at: s.timerAt })
}

/**
 * Compares the last answer with the time since: tell what is untold, ask what is old, warn of what is due.
 * @param {Draft} s
 * @param {Answer} answer
 * @returns {number[]} when the comparison could come out differently
 */
function judge(s, answer) {
  const { at } = s
  const heardAt = s.heardAt + lag(s)
  const deadline = heardAt + answer.expiresInMs
  const warnAt = heardAt + answer.warnInMs
  const latchAt = Math.min(warnAt, deadline - LATCH)
  if (s.inFlight) {
    // Its outcome comes first.
  } else if (at >= deadline) {
    if (at >= heardAt + AGAIN) want(s, CHECK)
  } else if (s.onScreen && at >= latchAt && s.evidenceAt > s.toldAt && Math.abs(deadline - s.latchedFor) > AGAIN) {
    // Once for each deadline: where beats move nothing, typing must not turn into a stream of them.
    s.latchedFor = deadline
    want(s, BEAT)
  } else if (s.isWarned) {
    if (at >= heardAt + WATCH) want(s, CHECK)
  } else if (at >= warnAt && !s.dismissed) {
    if (at < s.retryAt || (!s.wanted && at < heardAt + FRESH)) warn(s)
    else want(s, CHECK)
  }
  return at >= deadline ? [heardAt + AGAIN] : [deadline, latchAt, warnAt, heardAt + WATCH]
}

/**
 * Sends what is wanted, if it may be sent: somebody saw the page, nothing is in flight, no backoff.
 * @param {Draft} s
 */
function speak(s) {
  const what = s.wanted
  if (!what || !s.wasSeen || s.inFlight || s.at < s.retryAt) return
  s.wanted = 0
  s.telling = what
  s.tellingAt = s.evidenceAt
  if (what > CHECK) s.nextBeatAt = Infinity
  s.inFlight = message(s, what)
  does(s, { type: "send", path: what === END ? "/end" : "/beat", body: s.inFlight })
}
