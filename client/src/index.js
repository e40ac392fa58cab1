/**
 * `start()` is all most pages need: beats, the warning, the ending.
 *
 * @import { Options, Session } from "./types.js"
 */
import { createDialog } from "./dialog.js"
import { run } from "./engine.js"

/**
 * Starts the client of this page, or returns the one that runs.
 * @param {Options} [options]
 * @returns {Session}
 */
export const start = (options = {}) =>
  run(options, options.dialog === false ? undefined : (say) => createDialog(say, options.texts))
