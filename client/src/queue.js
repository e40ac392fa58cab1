/**
 * Last words that could not be sent: a page left while the network or the server was away. They wait in the browser's storage, a bounded number for
 * a bounded time, until some page of this session has an answer again, and go with their age. Totals only grow, so that what arrives twice
 * counts once.
 *
 * @import { Answer } from "./types.js"
 */

const MOST = 50
const LONGEST = 86_400_000
/** A session is known by its absolute end, which never moves; nobody inherits the reading of whoever was here before. */
const SAME = 10_000

/** @typedef {{ body: { ageMs?: number, kind?: string }, at: number, endsAt: number }} Kept */

/** @param {string} name */
export function createQueue(name) {
  let endsAt = 0
  /** @param {(kept: Kept[]) => Kept[]} change */
  const edit = (change) => {
    // Storage may be forbidden, full or somebody else's.
    try {
      const kept = change(JSON.parse(localStorage[name] || "[]"))
      if (kept[0]) localStorage[name] = JSON.stringify(kept.slice(-MOST))
      else delete localStorage[name]
    } catch {}
  }
  return {
    clear: () => edit(() => []),
    /** @param {object} body */
    keep: (body) => edit((kept) => [...kept, { body: { ...body, kind: "beat" }, at: Date.now(), endsAt }]),
    /**
     * The server has answered: what waits for this session can go. One tab at a time; the others find nothing.
     * @param {Answer} answer
     * @param {(beats: object[]) => Promise<boolean>} send  whether they need not be kept
     */
    async drain({ absoluteInMs }, send) {
      const now = Date.now()
      endsAt = now + absoluteInMs
      /** @type {Kept[]} */
      let ours = []
      const read = () =>
        edit((kept) => (ours = kept.filter((item) => now - item.at < LONGEST && Math.abs(item.endsAt - endsAt) < SAME)))
      const drain = async () => {
        read()
        const beats = ours.map(({ body, at }) => ({ ...body, ageMs: (body.ageMs || 0) + Math.max(0, now - at) }))
        if (beats[0] && (await send(beats))) edit((kept) => kept.slice(beats.length))
      }
      read()
      if (ours[0]) await (navigator.locks?.request(name, { ifAvailable: true }, (lock) => lock && drain()) ?? drain())
    },
  }
}
