/**
 * The machine in a page: events in, effects out. What effects look like is told by `parts`: the dialog, the ending, or nothing.
 *
 * @import { Event, Host, Options, Over, Parts, Saying, Session, Snapshot } from "./types.js"
 */
import { createBus } from "./bus.js"
import { createClock } from "./clock.js"
import { initial, look, step } from "./machine.js"
import { listen } from "./sources.js"
import { joinTabs, randomId, tabId } from "./tabs.js"
import { createVoice } from "./voice.js"

/** One page, one client: a second start gets the first one's session. @type {Session | undefined} */
let running

/** A following tab does what is due this much later, and not all at once. */
const LAG = 1_000

/**
 * @param {Options} [options]
 * @param {(host: Host) => Parts} [createParts]
 * @returns {Session}
 */
export const run = (options = {}, createParts) => (running ??= create(options, createParts))

/**
 * @param {Options} options
 * @param {Parameters<typeof run>[1]} createParts
 * @returns {Session}
 */
function create(options, createParts) {
  const name = "stillhere" + (options.endpoint ?? "/session")
  const clock = createClock()
  const { on, emit } = createBus()
  const tab = tabId()
  let state = initial({ ...options, view: randomId(), lag: LAG + 2 * LAG * Math.random() })
  /** @type {Over | undefined} */
  let over
  /** @type {Parts} */
  const parts = {}

  /** @returns {Snapshot} */
  const snapshot = () => ({ ...look(state, clock()), tab })
  const tell = (/** @type {string} */ type, /** @type {any} */ detail = snapshot()) => {
    parts[type]?.(detail)
    emit(type, type === "error" ? Object.assign(new Error(), detail) : detail)
  }

  /** @type {any} */
  let timer
  const perform = (/** @type {any} */ effect) => {
    const { type, detail, body } = effect
    if (type === "timer") {
      clearTimeout(timer)
      timer = setTimeout(say, Math.ceil(effect.at - clock()), type)
    } else if (type in voice) {
      // Who measures something adds it.
      emit("body", body)
      voice[/** @type {"beacon"} */ (type)](effect, state.failures)
    } else {
      // What one was refused for the others needn't be.
      if (type === "error" && !/^4(?!29)/.test(detail.status)) tabs.tell({ type: "waits", ...detail })
      if (type === "ended") {
        over = detail
        parts.will?.()
        if (!effect.isOld) tabs.tell({ type: "over", over, ageMs: effect.ageMs, isOld: true })
      }
      tell(type, detail)
    }
  }

  /** Listeners may call back into us; events wait their turn. @type {[Event, number][]} */
  const queue = []
  const dispatch = (/** @type {Event} */ event) => {
    const { type } = event
    if (type === "restored" || type === "timer") {
      // The page that stood here meanwhile may give the name back later than this.
      tabId()
      tabs.enter()
    }
    sources.follow()
    sources.flushInput()
    if (queue.push([event, clock()]) > 1) return
    for (; queue[0]; queue.shift()) {
      attempt(() => {
        const [after, effects] = step(state, ...queue[0])
        state = after
        for (const effect of effects) attempt(() => perform(effect))
      })
    }
    if (type === "pagehide" || type === "stop" || type === "freeze") {
      parts.close?.(type)
      tabs.leave()
      if (type !== "freeze") tabId(tab)
    }
  }
  const say = (/** @type {Saying} */ type) => {
    dispatch({ type })
    // Read in one tab, read in all.
    if (type === "dismiss") tabs.tell({ type })
  }

  /** @type {(() => void)[]} */
  const undo = []
  const tabs = joinTabs(name, dispatch)
  const sources = listen(dispatch, clock)
  const voice = createVoice({ options, tab, tabs, sources, clock, emit, dispatch, parts })
  /** @type {Session} */
  const session = {
    state: snapshot,
    on,
    check: () => say("check"),
    beat: () => say("beat"),
    extend: () => say("stay"),
    activity: () => say("input"),
    end: () =>
      new Promise((done) => {
        if (over) done(over)
        on("ended", done)
        say("end")
      }),
    quiet: sources.quiet,
    onStop: (fn) => void undo.push(fn),
    stop() {
      say("stop")
      clearTimeout(timer)
      sources.stop()
      parts.unwarn?.()
      parts.will?.()
      undo.forEach(attempt)
      running = undefined
    },
  }
  on("ended", options.onSessionExpired)
  on("refreshed", options.onRefreshed)
  on("error", options.onError)
  Object.assign(parts, createParts?.({ name, say, dispatch, tell: tabs.tell }))
  sources.begin()
  return session
}

/** A fault of ours, or of a page we did not foresee, must not silence the client for good. @param {() => void} run */
function attempt(run) {
  try {
    run()
  } catch (error) {
    reportError(error)
  }
}
