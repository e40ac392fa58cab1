/**
 * The page that tests/e2e/test_react.py drives: it mounts what it is told to, and keeps what it is told.
 */
import { StrictMode, createElement, useEffect, version } from "react"
import { flushSync } from "react-dom"
import { createRoot, hydrateRoot } from "react-dom/client"
import { start } from "../src/index.js"
import { useHeartbeat, useSession } from "../src/react.js"

/** @typedef {{ kind: "badge" | "heart", name: string, options?: any, says?: string, throws?: boolean, calls?: boolean }} Part */

/** Every callback, as it came. @type {{ name: string, says: string, callback: string, reason?: string }[]} */
const told = []
/** @type {Record<string, number>} */
const renders = {}
/** How often each component was mounted and taken away. @type {Record<string, [number, number]>} */
const mounts = {}
/** What the hooks gave last. @type {Record<string, any>} */
const latest = {}

/** @param {Part} part */
function callbacks({ name, says = "first", throws, calls = true }) {
  /** @param {string} callback */
  const keep = (callback) => (/** @type {any} */ detail) => {
    told.push({ name, says, callback, reason: detail.reason })
    if (throws) throw new Error("thrown on purpose")
  }
  const all = { onRefreshed: keep("refreshed"), onError: keep("error"), onSessionExpired: keep("expired"), saveDrafts: keep("drafts") }
  return calls ? all : {}
}

/** @param {Part} part @param {any} given */
function useTrace({ name }, given) {
  renders[name] = (renders[name] ?? 0) + 1
  latest[name] = given
  useEffect(() => {
    const counted = (mounts[name] ??= [0, 0])
    counted[0]++
    return () => void counted[1]++
  }, [name])
}

/** @param {{ part: Part }} props */
function Badge({ part }) {
  const session = useSession({ ...part.options, ...callbacks(part) })
  useTrace(part, session)
  const { state, expiresInMs, over } = session
  return createElement("p", { id: part.name }, `${state} ${Math.ceil(Number(expiresInMs) / 1000)} ${over?.reason ?? ""}`)
}

/** @param {{ part: Part }} props */
function Heart({ part }) {
  useTrace(part, useHeartbeat({ ...part.options, ...callbacks(part) }))
  return null
}

/** @param {{ push: boolean, done: (_?: any) => void }} props */
function Answered({ push, done }) {
  useHeartbeat({ onRefreshed: done })
  useSession({ push })
  return null
}

/** @param {Part[]} parts */
const tree = (parts) =>
  createElement(StrictMode, null, ...parts.map((part) => createElement(part.kind === "badge" ? Badge : Heart, { key: part.name, part })))

const container = /** @type {HTMLElement} */ (document.querySelector("#root"))
/** @type {import("react-dom/client").Root | undefined} */
let root

const lab = {
  version,
  start,
  told,
  renders,
  mounts,
  latest,
  /** What went wrong while what a server had rendered was brought to life. @type {string[]} */
  complaints: /** @type {string[]} */ ([]),
  /** Mounts these parts, and takes others away. @param {Part[]} parts */
  show(parts) {
    root ??= createRoot(container)
    flushSync(() => root?.render(tree(parts)))
  },
  unmount() {
    root?.unmount()
    root = undefined
  },
  /** Brings to life what a server would have rendered. @param {Part[]} parts */
  async hydrate(parts) {
    const { renderToString } = await import("react-dom/server")
    const html = renderToString(tree(parts))
    const trusted = /** @type {any} */ (window).trustedTypes.createPolicy("rendered", { createHTML: (/** @type {string} */ it) => it })
    container.innerHTML = trusted.createHTML(html)
    root = hydrateRoot(container, tree(parts), { onRecoverableError: (error) => lab.complaints.push(String(error)) })
    return html
  },
  /** Mounts and takes away, so often, each time when the first beat was answered; one in ten opens a stream. @param {number} times */
  async cycle(times) {
    for (let n = 0; n < times; n++) {
      await new Promise((done) => {
        root ??= createRoot(container)
        flushSync(() => root?.render(createElement(Answered, { push: n % 10 === 0, done })))
      })
      lab.unmount()
      // The client stops at the end of this turn.
      await Promise.resolve()
    }
  },
}
Object.assign(window, { lab })
