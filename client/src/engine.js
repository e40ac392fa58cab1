/**
 * The machine in a page: events in, effects out. No looks; those come as `ui` (dialog.js), or not at all.
 *
 * @import { Body, Event, Options, Over, Session, Snapshot, UI } from "./types.js"
 */
import { createClock } from "./clock.js"
import { signInUrl } from "./ending.js"
import { initial, look, step } from "./machine.js"
import { listen } from "./sources.js"
import { plain } from "./text.js"
import { send, sendBeacon } from "./transport.js"

/** One page, one client: a second start gets the first one's session. @type {Session | undefined} */
let running

/** @typedef {"stay" | "dismiss" | "check" | "beat" | "end" | "stop" | "input" | "timer"} Saying */

/**
 * @param {Options} [options]
 * @param {(say: (type: Saying) => void) => UI} [createUI]
 * @returns {Session}
 */
export const run = (options = {}, createUI) => (running ??= create(options, createUI))

/**
 * @param {Options} options
 * @param {Parameters<typeof run>[1]} createUI
 * @returns {Session}
 */
function create(options, createUI) {
  const { endpoint = "/session", page = location.pathname, debug, onSessionExpired } = options
  const clock = createClock()
  const { on, emit } = createBus()
  const tab = tabId()
  let state = initial({ ...options, view: randomId() })
  let timer = 0
  /** @type {Over | undefined} */
  let over
  /** @type {string | null} */
  let leaveTo

  /** @returns {Snapshot} */
  const snapshot = () => ({ ...look(state, clock()), tab })
  const fill = (/** @type {Body} */ body) => ({
    ...body,
    lifecycle: body.lifecycle === "active" && !document.hasFocus() ? "passive" : body.lifecycle,
    tab,
    page: plain(page, 1_024),
    title: plain(document.title, 300),
    scrollPct: sources.measure(),
  })
  const told = (/** @type {object} */ message) => {
    if (debug) console.debug("stillhere", message)
    emit("message", message)
  }
  const redirect = () => leaveTo && location.replace(leaveTo)

  const depart = (/** @type {Over} */ detail) => {
    over = detail
    // An application that handles the ending itself and names no sign-in page is left alone.
    const login = options.login ?? (!onSessionExpired && "/")
    leaveTo = login ? signInUrl(login, location.href, over.reason) : null
    if (!login || (!leaveTo && over.reason === "no_session")) return
    ui?.notice(over, leaveTo ? redirect : null)
    setTimeout(redirect, Math.max(500, options.notice ?? 2_500))
  }

  const perform = async (/** @type {any} */ { type, at, path, body, detail }) => {
    if (type === "timer") {
      clearTimeout(timer)
      timer = Number(setTimeout(say, Math.ceil(at - clock()), type))
    } else if (type === "send") {
      const full = fill(body)
      const from = clock()
      const { outcome, ...facts } = await send(endpoint + path, body, full)
      told({ kind: path === "/end" ? "end" : body.kind, body: full, ...facts, via: "fetch", ms: Math.round(clock() - from) })
      dispatch(outcome)
    } else if (type === "beacon") {
      const full = fill(body)
      sendBeacon(endpoint + "/beat", full)
      told({ kind: body.kind, body: full, via: type, ms: 0 })
    } else if (type === "warn") ui?.warn(snapshot())
    else if (type === "unwarn") ui?.hide()
    else if (type === "redirect") redirect()
    else {
      emit(type, type === "error" ? Object.assign(new Error(), detail) : (detail ?? snapshot()))
      if (type === "ended") depart(detail)
    }
  }

  /** Listeners may call back into us; events wait their turn. @type {[Event, number][]} */
  const queue = []
  const dispatch = (/** @type {Event} */ event, at = clock()) => {
    sources.flush()
    if (queue.push([event, at]) > 1) return
    for (; queue[0]; queue.shift()) {
      const [after, effects] = step(state, ...queue[0])
      state = after
      effects.forEach(perform)
    }
  }
  const say = (/** @type {Saying} */ type) => dispatch({ type })

  on("ended", onSessionExpired)
  on("refreshed", options.onRefreshed)
  on("error", options.onError)
  const ui = createUI?.(say)
  const sources = listen(dispatch, clock, randomId)
  sources.begin()

  return {
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
    stop() {
      say("stop")
      clearTimeout(timer)
      sources.stop()
      ui?.hide()
      running = undefined
    },
  }
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

/** 80 random bits as 16 characters. */
const randomId = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => (byte & 31).toString(32)).join("")

/** The same for as long as the tab lives. Storage may be forbidden; then the tab is new with every page. */
function tabId() {
  let id = randomId()
  try {
    id = sessionStorage.stillhereTab ??= id
  } catch {}
  return id
}
