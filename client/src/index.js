/**
 * `start()` is all most pages need: beats, the warning, the ending, what was said offline, the server's own voice.
 *
 * @import { Options, Session } from "./types.js"
 */
import { createDialog } from "./dialog.js"
import { run } from "./engine.js"
import { createEnding } from "./ending.js"
import { receive } from "./push.js"
import { createQueue } from "./queue.js"
import { isSaving } from "./saving.js"
import { claim } from "./tabs.js"
import { createWill } from "./transport.js"

/**
 * Starts the client of this page, or returns the one that runs.
 * @param {Options} [options]
 * @returns {Session}
 */
export const start = (options = {}) =>
  run({ stretch: isSaving(), ...options }, ({ name, say, hear, flush }) => {
    const { endpoint = "/session" } = options
    const ui = options.dialog === false ? undefined : createDialog(say, options.texts)
    const queue = createQueue(name)
    const push = options.push ? receive(endpoint + "/events", hear) : undefined
    const ending = createEnding(options, ui)
    return {
      warn: ui?.warn,
      unwarn: ui?.hide,
      lost: queue.keep,
      will: createWill(endpoint + "/beat"),
      refreshed(answer) {
        push?.open()
        queue.drain(answer, flush)
      },
      async ended(over) {
        push?.close()
        queue.clear()
        ending.depart(over, !(await claim(name)))
      },
      redirect: ending.redirect,
      close: push?.close,
    }
  })
