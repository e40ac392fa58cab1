/**
 * The machine in a page: events in, effects out. What effects look like is told by `parts`: the dialog, the ending, or nothing.
 *
 * @import { Body, Event, Host, Options, Over, Parts, Saying, Session, Snapshot } from "./types.js"
 */
import { createClock } from "./clock.js"
import { initial, look, step } from "./machine.js"
import { listen } from "./sources.js"
import { joinTabs, randomId, tabId } from "./tabs.js"
import { plain } from "./text.js"
import { send, sendBeacon } from "./transport.js"

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
  const { endpoint = "/session", page = () => location.pathname, debug } = options
  const name = "stillhere" + endpoint
  const clock = createClock()
  const { on, emit } = createBus()
  const tab = tabId()
  let state = initial({ ...options, view: randomId(), lag: LAG + 2 * LAG * Math.random() })
  let timer = 0
  /** @type {Over | undefined} */
  let over
  const nameOfPage = () => plain(typeof page === "string" ? page : page(), 1_024)
  let pageName = nameOfPage()

  /** @returns {Snapshot} */
  const snapshot = () => ({ ...look(state, clock()), tab })
  const fill = (/** @type {Body} */ body) => ({
    ...body,
    lifecycle: body.lifecycle === "active" && !document.hasFocus() ? "passive" : body.lifecycle,
    tab,
    page: (pageName = nameOfPage()),
    title: plain(document.title, 300),
    scrollPct: sources.measure(),
  })
  const told = (/** @type {object} */ message) => {
    if (debug) console.debug("stillhere", message)
    emit("message", message)
  }
  const speak = async (/** @type {string} */ path, /** @type {Body} */ body) => {
    const own = fill(body)
    // What nobody answers is not made heavier.
    const riders = body.kind === "check" || state.failures ? [] : await tabs.collect()
    const others = [...(parts?.owed?.() ?? []), ...riders]
    const from = clock()
    const { outcome, ...facts } = await send(endpoint + path, body, others[0] ? { beats: [...others, own] } : own)
    told({ kind: path === "/end" ? "end" : body.kind, body: own, riders, ...facts, via: "fetch", ms: Math.round(clock() - from) })
    if (outcome.type === "answer") {
      parts?.drop?.()
      const { nextBeatMs: next, idleInMs } = outcome.answer
      // Never sooner than the server asks, or the last seconds before a deadline would be a stream of beats.
      if (options.stretch?.()) outcome.answer.nextBeatMs = Math.max(next, Math.min(next * 2, idleInMs / 2))
      if (path !== "/end") tabs.tell({ type: "heard", answer: outcome.answer, views: riders.map(({ view }) => view) })
    } else if (facts.status === 422) parts?.drop?.()
    else if (outcome.type === "failed") parts?.keep?.(own)
    dispatch(outcome)
  }

  const perform = (/** @type {any} */ effect) => {
    const { type, body, detail } = effect
    if (type === "timer") {
      clearTimeout(timer)
      timer = Number(setTimeout(say, Math.ceil(effect.at - clock()), type))
    } else if (type === "send") speak(effect.path, body)
    else if (type === "keep") {
      parts?.keep?.({ ...body, tab, page: pageName, scrollPct: sources.measure(body) })
      pageName = nameOfPage()
    }
    else if (type === "will") parts?.will?.(fill(body))
    else if (type === "ride") tabs.tell({ type: "body", body: fill(body) })
    else if (type === "beacon") {
      const own = fill(body)
      parts?.will?.()
      // Where the last message found nobody, a beacon may find nobody either, and would not say so.
      const keep = () => parts?.keep?.(own)
      sendBeacon(endpoint + "/beat", own, keep)
      if (state.failures) keep()
      told({ kind: body.kind, body: own, via: type, ms: 0 })
      if (body.idleMs >= 0) tabs.tell({ type: "evidence", ageMs: body.idleMs })
    } else {
      if (type === "error") tabs.tell({ type: "waits", ...detail })
      if (type === "ended") {
        over = detail
        tabs.tell({ type: "over", over })
      }
      parts?.[type]?.(detail ?? snapshot())
      emit(type, type === "error" ? Object.assign(new Error(), detail) : (detail ?? snapshot()))
    }
  }

  /** Listeners may call back into us; events wait their turn. @type {[Event, number][]} */
  const queue = []
  const dispatch = (/** @type {Event} */ event, at = clock()) => {
    const { type } = event
    if (type === "pagehide" || type === "stop") {
      parts?.close?.()
      tabId(tab)
      tabs.leave()
    } else if (type === "restored") {
      tabId()
      tabs.join()
    }
    sources.follow()
    sources.flush()
    if (queue.push([event, at]) > 1) return
    for (; queue[0]; queue.shift()) {
      // A fault of ours, or of a page we did not foresee, must not silence the client for good.
      try {
        const [after, effects] = step(state, ...queue[0])
        state = after
        effects.forEach(perform)
      } catch (error) {
        reportError(error)
      }
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
  const sources = listen(dispatch, clock, randomId)
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
      parts?.unwarn?.()
      undo.forEach((fn) => fn())
      running = undefined
    },
  }
  on("ended", options.onSessionExpired)
  on("refreshed", options.onRefreshed)
  on("error", options.onError)
  const parts = createParts?.({
    name,
    say,
    hear(event) {
      tabs.tell(event)
      dispatch(/** @type {Event} */ ({ ageMs: 0, ...event }))
    },
  })
  sources.begin()
  return session
}

/** The browser's own event target: a listener that throws is reported there and harms nobody else. */
function createBus() {
  const bus = new EventTarget()
  return {
    emit: (/** @type {string} */ name, /** @type {unknown} */ detail) => bus.dispatchEvent(new CustomEvent(name, { detail })),
    on(/** @type {string} */ name, /** @type {((detail: any) => void) | undefined} */ fn) {
      const handle = (/** @type {any} */ event) => fn?.(event.detail)
      bus.addEventListener(name, handle)
      return () => bus.removeEventListener(name, handle)
    },
  }
}
