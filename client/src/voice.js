/**
 * What the machine says, in the page's words: its name, its title, how far it was scrolled. And the ways it goes out.
 *
 * @import { Body, Event, Options, Parts } from "./types.js"
 */
import { plain } from "./text.js"
import { failed, send, sendBeacon } from "./transport.js"

/**
 * @typedef {object} Page  what a voice needs to know
 * @property {Options} options
 * @property {string} tab
 * @property {ReturnType<typeof import("./tabs.js").joinTabs>} tabs
 * @property {ReturnType<typeof import("./sources.js").listen>} sources
 * @property {() => number} clock
 * @property {(name: string, detail: object) => void} emit
 * @property {(event: Event) => void} dispatch
 * @property {Parts} parts
 */

/** @param {Page} page */
export function createVoice({ options, tab, tabs, sources, clock, emit, dispatch, parts }) {
  const { endpoint = "/session", beatPath, page, debug } = options
  const pathOf = (/** @type {string} */ path) => (path === "/beat" && beatPath) || endpoint + path
  let pageName = ""
  const nameOfPage = () => {
    // The application's own function may fail; the page keeps its name then.
    try {
      pageName = plain(typeof page === "function" ? page() : page ?? location.pathname, 1_024)
    } catch {}
    return pageName
  }
  nameOfPage()

  const fill = (/** @type {Body} */ body) => {
    const scrollPct = sources.depthPct()
    return {
      ...body,
      lifecycle: body.lifecycle === "active" && !document.hasFocus() ? "passive" : body.lifecycle,
      tab,
      page: nameOfPage(),
      title: scrollPct === undefined ? scrollPct : plain(parts.title?.() ?? document.title, 300),
      scrollPct,
    }
  }
  /** @param {string} path @param {{ kind: string }} body @param {object} facts */
  const told = (path, body, facts) => {
    const message = { kind: path === "/end" ? "end" : body.kind, body, ...facts }
    if (debug) console.debug("stillhere", message)
    emit("message", message)
  }
  /** Never sooner than the server asks, or the last seconds before a deadline would be a stream of beats. @param {any} answer */
  const stretch = (answer) => {
    const { nextBeatMs: next, idleInMs } = answer
    if (options.stretch?.()) answer.nextBeatMs = Math.max(next, Math.min(next * 2, idleInMs / 2))
  }

  /** The beats of a message. @param {object[]} beats */
  const joined = (beats) => (beats[1] ? { beats } : beats[0])
  const keep = (/** @type {any} */ beat, /** @type {number} */ ageMs) =>
    parts.keep?.({ ...beat, ageMs: (beat.ageMs ?? 0) + Math.round(ageMs) })

  /** @param {{ path: string, body: Body }} effect @param {number} failures */
  const speak = async ({ path, body }, failures) => {
    const from = clock()
    const own = fill(body)
    const riders = body.kind === "check" ? [] : await tabs.collect()
    // The answer is for the last, and must be ours.
    const said = [...riders, own]
    const words = parts.owed?.() ?? []
    // What an application sends that may outlive the page is counted with ours, and can leave nothing for us. Tried again, it goes without.
    const outcome = await send(pathOf(path), body, joined([...words, ...said]), !failures)
    const { type, status, answer } = outcome
    const ageMs = clock() - from
    told(path, own, { status, answer, via: "fetch", ms: Math.round(ageMs) })
    if (type === "answer" || status === 422) parts.forget?.(words)
    else if (type === "failed") for (const beat of said) keep(beat, ageMs)
    if (type === "answer") {
      stretch(answer)
      if (path !== "/end") tabs.tell({ type: "heard", answer, views: riders.map(({ view }) => view) })
    }
    dispatch({ ...outcome, ageMs })
  }

  return {
    /** @param {{ path: string, body: Body }} effect @param {number} failures */
    send: (effect, failures) =>
      speak(effect, failures).catch((error) => dispatch(failed(effect.body, String(error)))),
    /** @param {{ path: string, body: Body }} effect @param {number} failures */
    beacon({ path, body }, failures) {
      const own = fill(body)
      parts.will?.()
      // Where the last message found nobody, a beacon may find nobody either, and would not say so.
      const from = clock()
      const lost = () => {
        keep(own, clock() - from)
        // The browser may keep them, too, and needs no other page of this session to say them.
        parts.will?.(own)
      }
      sendBeacon(pathOf(path), joined([...(parts.owed?.() ?? []), own]), lost, body.lifecycle === "hidden")
      if (failures) lost()
      told(path, own, { via: "beacon", ms: 0 })
      if (own.idleMs !== undefined) tabs.tell({ type: "evidence", ageMs: own.idleMs })
    },
    /** Words of the page that was left, under the name it had. @param {{ body: Body | null, scrollPct: number }} effect */
    keep({ body, scrollPct }) {
      if (body) parts.keep?.({ ...body, tab, page: pageName, scrollPct })
      nameOfPage()
    },
    /** @param {{ body: Body }} effect */
    ride: ({ body }) => tabs.tell({ type: "body", body: fill(body) }),
    /** @param {{ body: Body }} effect */
    will: ({ body }) => parts.will?.(fill(body)),
  }
}
