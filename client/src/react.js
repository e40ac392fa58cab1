"use client"
/**
 * Two hooks over one client. `useSession` tells how things stand and shows the dialog; `useHeartbeat` beats and calls back, and renders
 * nothing anew. Any number of components, strict mode and server rendering are all the same to them: see shared.js.
 *
 * @import { Answer, Options, Over } from "./types.js"
 * @import { Holder, View } from "./shared.js"
 */
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react"
import { createDialog } from "./dialog.js"
import { UNKNOWN, current, hold, look, restart, watch } from "./shared.js"

/** @typedef {Pick<Options, "onSessionExpired" | "onRefreshed" | "onError" | "saveDrafts">} Callbacks */
/**
 * @typedef {Options & { enabled?: boolean, tickMs?: number }} SessionOptions
 *   `enabled`: false holds no client, for as long as nobody is signed in; default true.
 *   `tickMs`: render this often, for a countdown; default: only when something changed
 */
/**
 * @typedef {object} HeartbeatOptions
 * @property {string} [endpoint]  where beats are posted; default "/session/beat"
 * @property {number} [intervalMs]  ms of visible time between two beats; the server's when that is shorter
 * @property {number} [activityWindowMs]  ms after an input in which a person still counts as active; default 120000
 * @property {number} [idleThresholdMs]  the same, by the name that some know it by
 * @property {boolean} [enabled]  false holds no client, for as long as nobody is signed in; default true
 * @property {string | false} [login]  the sign-in page to go to at the end; default: stay
 * @property {Options["page"]} [page]  what to call this page, or what tells; default its path
 * @property {boolean} [push]  false: don't listen to the server's own voice
 * @property {boolean} [debug]  console.debug every message
 * @property {(over: Over) => void} [onSessionExpired]  once, with the reason
 * @property {(answer: Answer) => void} [onRefreshed]  every answer
 * @property {(error: Error & { status?: number, retryInMs?: number }) => void} [onError]  no answer; it is tried again by itself
 * @property {Options["saveDrafts"]} [saveDrafts]  called when the final warning shows and when the session ended
 */

const CALLBACKS = /** @type {const} */ ({
  ended: "onSessionExpired",
  refreshed: "onRefreshed",
  error: "onError",
  drafts: "saveDrafts",
})

/** What a component can do; the same functions for ever. */
const actions = {
  check: () => current()?.check(),
  beat: () => current()?.beat(),
  extend: () => current()?.extend(),
  activity: () => current()?.activity(),
  quiet: (/** @type {boolean} */ on) => current()?.quiet(on),
  /** Signs out. Without a client (nothing is mounted, or not enabled) there is nothing to end. @returns {Promise<Over | undefined>} */
  end: async () => current()?.end(),
  restart,
}

/**
 * How the session stands, and what can be done about it.
 * @param {SessionOptions} [options]
 * @returns {View & typeof actions}
 */
export function useSession({ enabled = true, tickMs, ...options } = {}) {
  useHold(options, enabled, createDialog)
  const subscribe = useCallback((/** @type {() => void} */ notify) => watch(notify, tickMs), [tickMs])
  const view = useSyncExternalStore(subscribe, look, unknown)
  return useMemo(() => ({ ...view, ...actions }), [view])
}

/**
 * Beats, and tells what became of them. Shows nothing and goes nowhere, unless `login` says so.
 * @param {HeartbeatOptions} [options]
 * @returns {typeof actions}
 */
export function useHeartbeat({ endpoint, intervalMs, activityWindowMs, idleThresholdMs, enabled = true, ...options } = {}) {
  const activityWindow = activityWindowMs ?? idleThresholdMs
  // The other routes are beside a beat route of the usual name, and where they usually are if it has one of its own.
  const routes = endpoint?.endsWith("/beat") ? { endpoint: endpoint.slice(0, -5) } : { beatPath: endpoint }
  useHold({ ...options, ...routes, interval: intervalMs, activityWindow }, enabled)
  return actions
}

const unknown = () => UNKNOWN

/**
 * Holds the client while the component is mounted. Callbacks are read when they are called: other ones restart nothing.
 * @param {Options} options
 * @param {boolean} enabled
 * @param {Holder["createUI"]} [createUI]
 */
function useHold({ onSessionExpired, onRefreshed, onError, saveDrafts, ...options }, enabled, createUI) {
  /** @type {Callbacks} */
  const callbacks = { onSessionExpired, onRefreshed, onError, saveDrafts }
  const told = useRef(callbacks)
  const latest = useRef(/** @type {Record<string, any>} */ (options))
  useEffect(() => {
    told.current = callbacks
    latest.current = options
  })
  const endsItself = !!onSessionExpired
  const savesDrafts = !!saveDrafts
  const key = JSON.stringify(options)
  useEffect(() => {
    if (!enabled) return
    /** @type {Holder["tell"]} */
    const tell = async (name, detail) => {
      try {
        if (name !== "state") await told.current[CALLBACKS[name]]?.(detail)
      } catch (error) {
        reportError(error)
      }
    }
    // `page` and `stretch` may be functions; those are the latest, too.
    const held = { ...latest.current }
    for (const name in held) if (typeof held[name] === "function") held[name] = () => latest.current[name]()
    return hold({ options: held, endsItself, savesDrafts, createUI, tell })
  }, [key, endsItself, savesDrafts, enabled, createUI])
}
