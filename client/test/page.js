/**
 * A page and a server around the machine, with a clock that the test moves.
 */
import { initial, look, step } from "../src/machine.js"

export const MINUTE = 60_000
const FULL = { expiresInMs: 20 * MINUTE, idleInMs: 20 * MINUTE, absoluteInMs: 1440 * MINUTE, warnInMs: 18 * MINUTE }

/** @param {Partial<import("../src/types.js").Answer>} [changes] @returns {import("../src/types.js").Answer} */
export const answer = (changes) => ({ ...FULL, nextBeatMs: 3 * MINUTE, canExtend: true, ...changes })

/** @param {object} [options] */
export function createPage(options) {
  let state = freeze(initial({ view: "view-1", ...options }))
  let now = 1_000
  /** @type {any[]} */
  const effects = []
  /** @type {any} what the server says to every message at once; null: it keeps us waiting */
  let reply = null

  const page = {
    effects,
    get now() { return now },
    get state() { return state },
    look: () => look(state, now),
    /** All effects of some types, as they came. @param {string[]} types */
    all: (...types) => effects.filter(({ type }) => types.includes(type)),
    sent: () => effects.filter(({ type }) => type === "send").map(({ body }) => body),
    kinds: () => effects.filter(({ type }) => type === "send" || type === "beacon").map(({ body }) => body.kind),
    /** @param {any} outcome  without a body, or a function of the body */
    replies(outcome) {
      reply = outcome
      return page
    },
    /** @param {any} event */
    on(event) {
      // A tab that shows brings a name along, in case it has been away for long.
      const named = typeof event === "string" ? { type: event, ...(event === "visible" && { view: "view-at-" + now }) } : event
      const [after, more] = step(state, /** @type {any} */ (named), now)
      state = freeze(after)
      effects.push(...more)
      for (const effect of more) {
        if (effect.type === "send" && reply) page.hear(typeof reply === "function" ? reply(effect.body) : reply)
      }
      return page
    },
    /** The outcome of the message in flight. @param {any} outcome */
    hear: (outcome) => page.on({ body: state.inFlight, random: 1, ...outcome }),
    /** @param {Partial<import("../src/types.js").Answer>} [changes] */
    answer: (changes) => page.hear({ type: "answer", answer: answer(changes) }),
    /** Lets time pass, with every timer fired when it is due. @param {number} ms */
    wait(ms) {
      const until = now + ms
      while (state.timerAt > 0 && state.timerAt <= until && !state.phase) {
        // A timer that was slept through fires late, not in the past.
        now = Math.max(now, state.timerAt)
        page.on("timer")
      }
      now = until
      return page
    },
    /** Lets time pass without any timer: sleep, or a frozen page. @param {number} ms */
    sleep(ms) {
      now += ms
      return page
    },
    clear() {
      effects.length = 0
      return page
    },
  }
  return page
}

/** The machine promises to change nothing it was given; here that is enforced. @template T @param {T} value @returns {T} */
const freeze = (value) => Object.freeze(value)

/** A page on screen whose first beat was answered. @param {Partial<import("../src/types.js").Answer>} [changes] */
export const living = (changes) => createPage().on("visible").answer(changes).clear()

export const ok = (/** @type {object} */ changes = {}) => ({ type: "answer", answer: answer(changes) })
export const over = { type: "over", over: { reason: "idle" } }
export const dead = { type: "failed", message: "TypeError: Failed to fetch" }
