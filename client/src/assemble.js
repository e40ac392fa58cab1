/**
 * The whole client: the engine with its parts. The looks are given, or left out.
 *
 * @import { Answer, Options, Saying, Session, UI } from "./types.js"
 */
import { run } from "./engine.js"
import { createEnding } from "./ending.js"
import { createGuard } from "./guard.js"
import { receive } from "./push.js"
import { createQueue } from "./queue.js"
import { isSaving } from "./saving.js"
import { claim } from "./tabs.js"
import { createWill } from "./transport.js"
import { createVeil } from "./veil.js"

/** @typedef {(say: (type: Saying) => void, options?: Options) => UI | undefined} CreateUI */

/**
 * @param {CreateUI} [createUI]  called only if a client starts, with a dialog
 * @returns {(options?: Options) => Session}  starts the client of this page, or returns the one that runs
 */
export const assemble = (createUI) => (options = {}) => {
  /** @type {AbortController | undefined} */
  let stopped
  const session = run({ stretch: isSaving(), ...options }, ({ name, say, dispatch, tell }) => {
    const { endpoint = "/session" } = options
    const ui = options.dialog === false ? undefined : createUI?.(say, options)
    const queue = createQueue(name)
    const hear = (/** @type {Answer} */ answer) => {
      const event = /** @type {const} */ ({ type: "heard", answer, ageMs: 0 })
      tell(event)
      dispatch(event)
    }
    const push = options.push === false ? undefined : receive(endpoint + "/events", hear, () => say("check"))
    stopped = new AbortController()
    const veil = createVeil()
    const isUnsaved = ui && createGuard(stopped.signal)
    // Of a page that was left, nobody is owed what was typed in it.
    const ending = createEnding(name, options, ui, () => !veil.covers() && !!isUnsaved?.())
    let staysAfterEnd = false
    /** @type {AbortController | undefined} */
    let leaving
    return {
      warn(snapshot) {
        ui?.warn(snapshot)
        ending.warn(snapshot)
      },
      unwarn: ui?.hide,
      title: ui?.title,
      keep: queue.keep,
      owed: queue.owed,
      forget: queue.forget,
      state: ({ absoluteInMs }) => queue.meet(absoluteInMs),
      will: createWill(options.beatPath ?? endpoint + "/beat"),
      refreshed() {
        push?.open()
        veil.lift()
      },
      ended(over) {
        push?.close()
        queue.clear()
        const { signal } = (leaving = new AbortController())
        staysAfterEnd = ending.depart(over, () => claim(name + " end", signal), signal)
        if (staysAfterEnd) veil.lift()
      },
      redirect: ending.redirect,
      close(type) {
        push?.close()
        if (type === "freeze") return
        leaving?.abort()
        if (type === "pagehide" && !staysAfterEnd) veil.cover()
      },
    }
  })
  if (stopped) session.onStop(() => stopped?.abort())
  return session
}
