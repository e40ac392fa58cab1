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
    endpoint: data.endpoint ?? new URL(".", src).pathname.slice(0, -1),
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
 * Optional parts, for whose attribute the tag asks, come from beside the script. What they give is promised by their name.
 * @param {HTMLScriptElement} script
 * @param {Session} session
 */
function attachParts({ src, dataset: data }, session) {
  const attach = (/** @type {string} */ name, /** @type {string | undefined} */ prefix) => {
    if (prefix !== undefined) api[name] = import(new URL(`client/${name}.js`, src).href).then((part) => part.default(session, { ...given, prefix }))
  }
  attach("tagging", data.tagRequests)
  for (const name of ["media", "frames", "heat", "tokens"]) attach(name, data[name])
  attach("logout", data.logoutAtProvider)
}

const script = /** @type {HTMLScriptElement | null} */ (document.currentScript)
const given = script?.src ? optionsOf(script) : {}
/** @type {{ start: typeof start, session?: Session, [part: string]: any }} */
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
const page = /** @type {any} */ (window)
if (!page.stillhere) {
  page.stillhere = api
  if (script?.src && script.dataset.manual === undefined) api.start()
}
