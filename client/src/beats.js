/**
 * The least of it: beats, activity, tabs, and events. No warning, no ending, no stream, nothing kept offline; those are the application's.
 *
 * @import { Options, Session } from "./types.js"
 */
import { run } from "./engine.js"

/** Starts the client of this page, or returns the one that runs. @param {Options} [options] @returns {Session} */
export const start = (options) => run(options)
