/**
 * `start()` without the dialog and its texts, for an application that shows warning and ending itself.
 *
 * @import { Options, Session } from "./types.js"
 */
import { run } from "./engine.js"

/**
 * Starts the client of this page, or returns the one that runs.
 * @param {Options} [options]
 * @returns {Session}
 */
export const start = (options) => run(options)
