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
 * @import { Answer, Effect, Event } from "./types.js"
 * @import { Draft, State } from "./state.js"
 */
import { TICK, advance, does, draft, lag, look } from "./state.js"
import { AGAIN, BEAT, CHECK, END, EXTEND, LEAVE, answered, ask, finish, heard, message, speak, unwarn, waitUntil, want, warn } from "./talk.js"
export { countdown, initial, look } from "./state.js"

/** An answer older than this is not shown as a warning: another tab may have moved the deadline. */
export const FRESH = 5_000
/** While the warning shows, the server is asked this often whether it still holds. */
export const WATCH = 20_000
/** Untold input is told this long before the deadline at the latest. */
export const LATCH = 10_000
/** A return after this long is a new viewing of the page. */
export const VISIT_GAP = 1_800_000
const DAY = 86_400_000
const ACTIVITY_WINDOW = 120_000

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
    if (s.onScreen) {
      unwarn(s)
      ask(s, BEAT)
      // All tabs wake from sleep at once; those that follow let one ask first.
    } else if (type === "timer") waitUntil(s, s.at + lag(s))
  }
  // A tab that runs another version of this may say what we don't know.
  const record = /** @type {any} */ (EVENTS)[type]
  record?.(s, event)
  if (!s.phase) settle(s)
  if (type === "timer" && s.onScreen) {
    does(s, "will", { body: message(s, LEAVE, "terminated") })
    // Unsaid as long as the page lives, so its number is free.
    s.seq--
  }
  const { state: name } = look(s, s.at)
  if (name !== s.stateName || type === "answer" || type === "heard") does(s, "state")
  s.stateName = name
  return [s, s.effects]
}

/** The outcome of a message of ours, unless a new view has forgotten it. @param {Draft} s @param {any} event */
const outcome = (s, event) => event.body === s.inFlight && heard(s, event)

/** What each event records, if it does. @type {{ [T in Exclude<Event["type"], "timer" | "freeze">]: (s: Draft, event: Extract<Event, { type: T }>) => unknown }} */
const EVENTS = {
  visible(s, { view }) {
    if (s.leftAt && s.at - s.leftAt > VISIT_GAP) renew(s, view)
    if (!s.onScreen) show(s)
  },
  restored(s, { view, visible }) {
    renew(s, view)
    if (visible) show(s)
  },
  hidden: (s) => leave(s, "hidden"),
  pagehide: (s) => leave(s, "terminated"),
  stop(s) {
    leave(s, "terminated")
    s.phase = "stop"
  },
  navigated(s, { view, scrollPct }) {
    // The person, the deadline and whatever is on its way stay; the page is another. One that passed by untold is not worth a word.
    const wasBrief = s.visibleMs < AGAIN
    const isWorth = s.wasSeen && !s.leftAt && (s.seq || !wasBrief)
    does(s, "keep", { body: isWorth ? message(s, LEAVE, "terminated") : null, scrollPct })
    if (wasBrief) waitUntil(s, s.at + AGAIN)
    s.view = view
    s.seq = s.visibleMs = s.activeMs = s.inputVisibleMs = s.stepMs = 0
    s.nextBeatAt = Infinity
    if (s.onScreen) want(s, BEAT)
  },
  input(s, { ageMs = 0 }) {
    // Activity is the visible part of the time between two inputs; the wait after the last one is never counted.
    const at = s.at - ageMs
    const visibleMs = Math.max(s.inputVisibleMs, s.visibleMs - ageMs)
    if (s.inputAt && at - s.inputAt <= (s.options.activityWindow || ACTIVITY_WINDOW)) s.activeMs += visibleMs - s.inputVisibleMs
    s.inputAt = at
    s.inputVisibleMs = visibleMs
    EVENTS.evidence(s, { type: "evidence", ageMs })
  },
  evidence(s, { ageMs }) {
    // While the warning shows, input is no evidence: staying is a choice, not an accident of the mouse.
    if (!s.isWarned) s.evidenceAt = Math.max(s.evidenceAt, s.at - ageMs)
  },
  stay(s) {
    s.evidenceAt = s.at
    ask(s, EXTEND)
  },
  dismiss(s) {
    // Said of this warning, not of one to come.
    s.dismissed ||= s.isWarned
    unwarn(s)
  },
  check: (s) => ask(s, CHECK),
  // A beat comes from a page on screen; from a hidden one it is only a question.
  beat: (s) => ask(s, s.onScreen ? BEAT : CHECK),
  online: (s) => ask(s, s.onScreen ? BEAT : CHECK, true),
  end: (s) => ask(s, END),
  answer: outcome,
  failed: outcome,
  over(s, { over, body, ageMs = 0, isOld }) {
    const isAnswer = body === s.inFlight
    if (isAnswer) s.inFlight = null
    // Whoever was heard alive after that was asked has signed in again, and this is the old session's end.
    if ((body && !isAnswer) || s.at - ageMs < s.heardAt) ask(s, CHECK)
    else finish(s, over, { ageMs, isOld })
  },
  ride(s) {
    if (!s.onScreen || s.inFlight) return
    s.ridesAt = s.evidenceAt
    does(s, "ride", { body: message(s, BEAT) })
  },
  heard(s, { answer, ageMs, views }) {
    // Deadlines only move on, so of two the later one is the truth; a stream may be behind.
    const leftMs = s.lastAnswer ? s.deadline - s.at : 0
    if (s.at - ageMs < s.heardAt || answer.expiresInMs - ageMs + AGAIN < leftMs) return
    const rode = !!views?.includes(s.view)
    if (s.wanted <= (rode ? BEAT : CHECK)) s.wanted = 0
    if (rode) {
      s.toldAt = s.ridesAt
      // Its own ramp goes on; without one yet, the other's answer will do.
      s.nextBeatAt = s.stepMs ? s.visibleMs + s.stepMs : Infinity
    }
    // Without views it is the server that spoke, to all of us.
    if (views) s.follows = true
    answered(s, answer, CHECK, ageMs)
  },
  waits(s, { retryAfterMs, retryInMs }) {
    s.follows = true
    s.notBefore = Math.max(s.notBefore, s.at + retryAfterMs)
    waitUntil(s, s.at + retryInMs + lag(s))
  },
}

/**
 * A restored page, or one that was away for long, is a new view that knows nothing yet; only a Retry-After outlives the old one.
 * @param {Draft} s
 * @param {string} view
 */
function renew(s, view) {
  unwarn(s)
  const { effects, at, notBefore, stateName } = s
  const wanted = wantsEnd(s) ? END : 0
  Object.assign(s, draft({ ...s.options, view }), { effects, at, notBefore, stateName, wanted })
}

/** @param {Draft} s */
function show(s) {
  s.onScreen = s.wasSeen = true
  s.leftAt = 0
  // The timers of a hidden page prove nothing about sleep.
  s.timerAt = s.at
  ask(s, BEAT)
}

/** Somebody signed out, and nobody has confirmed it yet. @param {Draft} s */
const wantsEnd = (s) => s.wanted === END || (!!s.inFlight && s.telling === END)

/**
 * @param {Draft} s
 * @param {string} lifecycle
 */
function leave(s, lifecycle) {
  s.onScreen = false
  // What a hidden page still wanted to ask, its return asks anyway.
  if (s.wanted <= BEAT) s.wanted = 0
  if (s.wasSeen && !s.leftAt) does(s, "beacon", { path: wantsEnd(s) ? "/end" : "/beat", body: message(s, LEAVE, lifecycle) })
  s.leftAt ||= s.at
}

/** There is something to be looked at then, unless then is past. @param {Draft} s @param {number} time */
function lookAt(s, time) {
  if (time > s.at) s.timerAt = Math.min(s.timerAt, time)
}

/** @param {Draft} s */
function settle(s) {
  s.timerAt = s.at + (s.onScreen ? TICK : DAY)
  if (s.onScreen) {
    const dueInMs = s.nextBeatAt + lag(s) - s.visibleMs
    if (dueInMs <= 0) want(s, BEAT)
    lookAt(s, s.at + dueInMs)
  }
  if (s.lastAnswer) judge(s, s.lastAnswer)
  speak(s)
  lookAt(s, s.retryAt)
  does(s, "timer", { at: s.timerAt })
}

/**
 * Compares the last answer with the time since: tell what is untold, ask what is old, warn of what is due.
 * @param {Draft} s
 * @param {Answer} answer
 */
function judge(s, answer) {
  const { at } = s
  const heardAt = s.heardAt + lag(s)
  const deadline = s.deadline + lag(s)
  const warnAt = heardAt + answer.warnInMs
  const latchAt = Math.min(warnAt, deadline - LATCH)
  // A server that lets a session live on with nothing left of it is asked less and less.
  const againMs = Math.min(WATCH, AGAIN * 2 ** s.emptyAnswers)
  if (s.inFlight) {
    // Its outcome comes first.
  } else if (at >= deadline) {
    if (at >= heardAt + againMs) want(s, CHECK)
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
  // When the comparison could come out differently.
  for (const time of at >= deadline ? [heardAt + againMs] : [deadline, latchAt, warnAt, heardAt + WATCH]) lookAt(s, time)
}
