/**
 * The bundle: `<script src="/session/client.js" defer data-…>` starts itself, with the options its own tag gives.
 *
 * @import { Options, Session } from "./types.js"
 */
import { start } from "./index.js"

/** @param {HTMLScriptElement} script @returns {Options} */
function optionsOf({ src, dataset: data }) {
  return {
    // The script lives beside the routes, so a changed prefix needs no configuration.
    endpoint: data.endpoint ?? new URL(".", src).pathname.replace(/\/$/, ""),
    interval: Number(data.interval) || undefined,
    activityWindow: Number(data.activityWindow) || undefined,
    notice: data.notice ? Number(data.notice) : undefined,
    lang: data.lang,
    login: data.login === "off" ? false : data.login,
    page: data.page,
    dialog: data.dialog !== "off",
    push: data.push !== "off",
    debug: data.debug !== undefined,
  }
}

/**
 * Optional parts, for whose attribute the tag asks, come from beside the script.
 * @param {HTMLScriptElement} script
 * @param {Session} session
 */
function attachParts({ src, dataset: data }, session) {
  const attach = async (/** @type {string} */ name, /** @type {string | undefined} */ prefix) =>
    prefix === undefined || (await import(new URL(`client/${name}.js`, src).href)).default(session, { ...given, prefix })
  attach("tagging", data.tagRequests)
  attach("media", data.media)
  attach("frames", data.frames)
}

const script = /** @type {HTMLScriptElement | null} */ (document.currentScript)
const given = script?.src ? optionsOf(script) : {}
/** @type {{ start: typeof start, session?: Session }} */
const api = {
  start(options) {
    const session = start({ ...given, ...options })
    if (session !== api.session) {
      session.onStop(() => delete api.session)
      if (script?.src) attachParts(script, session)
    }
    return (api.session = session)
  },
}
if (!("stillhere" in window)) {
  Object.assign(window, { stillhere: api })
  if (script?.src && script.dataset.manual === undefined) api.start()
}
