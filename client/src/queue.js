/**
 * Words that did not arrive: of views left behind, of pages hidden or closed while the network or the server was away. They wait in the
 * browser's storage, a bounded number for a bounded time, and go before the next message of any page of this session, oldest first and with
 * their age: so what each view adds is counted in the order in which it was seen. Totals only grow, so that what arrives twice counts once.
 */

const MOST = 50
/** Bytes: with the totals of all tabs it is still less than a browser lets a page have on its way. */
const LARGEST = 40_000
const LONGEST = 86_400_000
/** A session is known by its absolute end, which never moves; nobody inherits the reading of whoever was here before. */
const SAME = 10_000
/** Words that one tab has taken are left alone by the others until they have arrived, or that tab must be gone. */
const TAKEN = 15_000

/** @typedef {{ body: any, at: number, endsAt: number, by: number, till?: any }} Kept */

/** @param {string} name */
export function createQueue(name) {
  const me = Math.random()
  /** When this session ends. Before the first answer nobody knows which one it is. */
  let endsAt = 0
  /** As in the storage. That may be forbidden, full or somebody else's; then these last as long as the page. @type {Kept[]} */
  let kept = []
  const edit = (/** @type {(now: number) => unknown} */ change) => {
    const now = Date.now()
    let text
    try {
      kept = JSON.parse(localStorage[name]).filter((/** @type {Kept} */ { body, at }) => body && now - at < LONGEST)
    } catch {}
    change(now)
    while (kept[MOST] || new Blob([(text = JSON.stringify(kept))]).size > LARGEST) {
      // First goes what its own view has said better since, then the oldest.
      const i = kept.findIndex(({ body }, at) => kept.some((later, after) => after > at && later.body.view === body.view))
      kept.splice(Math.max(0, i), 1)
    }
    try {
      if ((localStorage[name] ?? "[]") === text) return
      delete localStorage[name]
      localStorage[name] = text
    } catch {}
  }
  const isOurs = (/** @type {Kept} */ item) => (item.endsAt ? Math.abs(item.endsAt - endsAt) < SAME : item.by === me)
  return {
    clear: () => edit(() => (kept = [])),
    /** What a view says replaces what it said just before. @param {any} body */
    keep: (body) =>
      edit((at) => {
        if (kept.slice(-1)[0]?.body.view === body.view) kept.pop()
        kept.push({ body: { ...body, kind: "beat" }, at, endsAt, by: me })
      }),
    /**
     * The server has told which session this is; words of any other are forgotten.
     * @param {number | null} absoluteInMs
     * @returns {boolean} whether words were found that have been waiting for that
     */
    meet(absoluteInMs) {
      const isFirst = !endsAt
      if (absoluteInMs) edit((now) => ((endsAt = now + absoluteInMs), (kept = kept.filter(isOurs))))
      return isFirst && !!endsAt && !!kept[0]
    },
    /** What goes before the next message. @returns {object[]} */
    owed() {
      /** @type {object[]} */
      const beats = []
      edit((now) => {
        for (const item of kept) {
          if (!isOurs(item) || (item.by !== me && item.till > now)) continue
          item.by = me
          item.till = now + TAKEN
          beats.push({ ...item.body, ageMs: (item.body.ageMs || 0) + Math.max(0, now - item.at) })
        }
      })
      return beats
    },
    /** What was taken has arrived. */
    drop: () => edit(() => (kept = kept.filter(({ by, till }) => by !== me || !till))),
  }
}
