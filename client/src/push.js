/**
 * The server's own voice (`GET /session/events`): an end from elsewhere is known at once. One stream for all tabs; whoever has the lock holds it and tells the
 * others. It spares no beat, and its failing costs none: a browser without locks, a server without the route do without.
 *
 * @import { Answer, Over } from "./types.js"
 */

/**
 * @param {string} url
 * @param {(event: { type: "heard", answer: Answer } | { type: "over", over: Over }) => void} hear
 */
export function receive(url, hear) {
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
        const end = () => done(source.close())
        const on = (/** @type {string} */ name, /** @type {(data: any) => void} */ handle) =>
          source.addEventListener(name, ({ data }) => handle(JSON.parse(data)))
        on("state", (answer) => hear({ type: "heard", answer }))
        on("ended", (over) => {
          end()
          hear({ type: "over", over })
        })
        signal.addEventListener("abort", end)
        // Refused for good, a lost connection mends itself: the lock stays ours, so that the other tabs needn't be refused, too.
      })
    navigator.locks.request(url, { signal }, hold).catch(() => {})
  }
  return { open, close }
}
