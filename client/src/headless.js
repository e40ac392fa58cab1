/**
 * `start()` without the dialog and its texts, for an application that shows warning and ending itself.
 */
import { assemble } from "./assemble.js"

/** Starts the client of this page, or returns the one that runs. */
export const start = /* @__PURE__ */ assemble()
