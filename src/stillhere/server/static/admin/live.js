// What happens now, as it happens: a stream while the page is on screen, questions where no stream gets through.

import { ApiError, read, toSignIn } from "./api.js"

/** @typedef {"live" | "asking" | "trouble" | "paused"} Health */
/** @typedef {import("./api.js").Now} Now */
/** @typedef {import("./api.js").Visit} Visit */
/** @typedef {{ now: (now: Now) => void, visits: (visits: Visit[] | null) => void, health: (health: Health, error: ApiError | null) => void }} Listener */

const ASK_EVERY_MS = 4_000
/** After a silence of the stream the server is asked whether it is still there, and does not get long to say so: until then “Live” is a claim. */
const SILENCE_MS = 8_000
const PATIENCE_MS = 5_000
/** A stream that does not open is tried again after a second, then after two, four, and at last every so often. */
const RETRY_STREAM_MS = 30_000
const SLOWEST_MS = 30_000

export class Live {
  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener
    this.stream = /** @type {EventSource | null} */ (null)
    this.timer = 0
    this.failures = 0
    this.streamAgainAt = 0
    this.refusals = 0
    this.heardAt = 0
    this.last = /** @type {Now | null} */ (null)
    this.asking = false
    this.present = ""
  }

  start() {
    document.addEventListener("visibilitychange", () => document.hidden ? this.pause() : this.resume())
    addEventListener("online", () => this.resume())
    addEventListener("pagehide", () => this.close())
    addEventListener("pageshow", event => { if (event.persisted) this.resume() })
    this.resume()
  }

  pause() {
    this.close()
    this.listener.health("paused", null)
  }

  close() {
    clearTimeout(this.timer)
    this.stream?.close()
    this.stream = null
  }

  resume() {
    if (document.hidden) return
    this.close()
    this.failures = 0
    this.streamAgainAt = 0
    void this.ask()
  }

  /** One question, and what follows from how it was answered. */
  async ask() {
    clearTimeout(this.timer)
    if (this.asking) return
    this.asking = true
    let wait = ASK_EVERY_MS
    try {
      this.heard(await read("now", {}, undefined, this.stream ? PATIENCE_MS : undefined))
      this.failures = 0
      if (!this.stream && performance.now() >= this.streamAgainAt) this.listen()
      this.listener.health(this.stream?.readyState === EventSource.OPEN ? "live" : "asking", null)
      if (this.stream) wait = SILENCE_MS
    } catch (error) {
      this.failures += 1
      const known = error instanceof ApiError ? error : null
      wait = Math.max((known?.retryAfter ?? 0) * 1000, Math.min(SLOWEST_MS, 1500 * 2 ** this.failures) * (0.85 + 0.3 * Math.random()))
      this.listener.health("trouble", known)
      if (!known) console.error(error)
    } finally {
      this.asking = false
    }
    if (!document.hidden) this.again(wait)
  }

  /** @param {number} wait */
  again(wait) {
    clearTimeout(this.timer)
    this.timer = window.setTimeout(() => void this.ask(), wait)
  }

  /** @param {Now} now */
  heard(now) {
    this.heardAt = performance.now()
    this.last = now
    this.listener.now(now)
    if (this.stream) return
    // Without a stream nobody says which visits changed; who came and went tells when to look.
    const present = now.here.map(one => `${one.session} ${one.present} ${one.left}`).sort().join()
    if (present !== this.present) this.listener.visits(null)
    this.present = present
  }

  listen() {
    const stream = new EventSource("/admin/api/events")
    this.stream = stream
    const on = (/** @type {string} */ name, /** @type {(data: any) => void} */ then) => stream.addEventListener(name, event => {
      if (this.stream !== stream) return
      this.again(SILENCE_MS)
      then(/** @type {MessageEvent} */ (event).data)
    })
    on("open", () => {
      this.refusals = 0
      this.listener.health("live", null)
      this.listener.visits(null)
    })
    on("now", data => {
      this.heard(JSON.parse(data))
      this.listener.health("live", null)
    })
    on("visits", data => this.listener.visits(JSON.parse(data).visits))
    on("ended", () => {
      this.close()
      toSignIn()
    })
    stream.addEventListener("error", () => {
      if (this.stream !== stream) return
      // What the browser would try again by itself is asked about first: the store may be down, or the sign-in over.
      stream.close()
      this.stream = null
      this.refusals += 1
      this.streamAgainAt = performance.now() + Math.min(RETRY_STREAM_MS, 1000 * 2 ** this.refusals)
      this.again(500)
    })
  }
}
