/**
 * The server's own voice (`GET /session/events`): an end from elsewhere is known at once. One stream for all tabs; whoever has the lock holds
 * it and tells the others. It spares no beat, and its failing costs none: a browser without locks, a server without the route do without.
 *
 * @import { Answer } from "./types.js"
 */

/** A stream that was refused (a server that starts, one too many) or can't be had is tried again after this long, more or less. */
const REFUSED_FOR = 60_000

/**
 * @param {string} url
 * @param {(answer: Answer) => void} hear
 * @param {() => void} check  the stream's session is over; whether it is also the page's, only the page's cookie can tell
 */
export function receive(url, hear, check) {
  /** @type {AbortController | undefined} */
  let waiting
  /** Also before the page goes into the back/forward cache, which an open stream would forbid. */
  const close = () => {
    waiting?.abort()
    waiting = undefined
  }
  const open = () => {
    if (waiting || !navigator.locks) return
    const { signal } = (waiting = new AbortController())
    const hold = () =>
      new Promise((/** @type {(_: void) => void} */ done) => {
        const source = new EventSource(url)
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        let again
        const end = () => {
          clearTimeout(again)
          done(source.close())
        }
        const on = (/** @type {string} */ name, /** @type {(data: any) => void} */ handle) =>
          source.addEventListener(name, ({ data }) => handle(JSON.parse(data)))
        on("state", hear)
        on("ended", () => {
          close()
          check()
        })
        // A lost connection the browser takes up again by itself, as often as it is lost; once is enough. A refusal it takes for the last
        // word. The lock stays ours meanwhile, so that the other tabs needn't be refused, too.
        let isLost = false
        source.onopen = () => (isLost = false)
        source.onerror = () => {
          if (source.readyState === 2 || isLost) {
            source.close()
            again = setTimeout(close, REFUSED_FOR * (0.5 + Math.random()))
          }
          isLost = true
        }
        signal.addEventListener("abort", end)
      })
    navigator.locks.request(url, { signal }, hold).catch(() => {})
  }
  return { open, close }
}
