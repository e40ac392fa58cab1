/**
 * `start()` is all most pages need: beats, the warning, the ending, what was said offline, the server's own voice.
 */
import { createDialog } from "./dialog.js"
import { assemble } from "./assemble.js"

/** Starts the client of this page, or returns the one that runs. */
export const start = /* @__PURE__ */ assemble(createDialog)
