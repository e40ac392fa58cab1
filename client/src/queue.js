/**
 * Words that did not arrive: of views left behind, of pages hidden or closed while the network or the server was away. They wait in the
 * browser's storage, a bounded number for a bounded time, and go before the next message of any page of this session, oldest first and with
 * their age: so what each view adds is counted in the order in which it was seen. Totals only grow, so that what arrives twice counts once.
 * Each has a key of its own, for tabs write at the same time.
 */

const MOST = 50
/** Bytes: with the totals of all tabs it is still less than a browser lets a page have on its way. */
const LARGEST = 40_000
const LONGEST = 86_400_000
/** A session is known by its absolute end, which never moves; nobody inherits the reading of whoever was here before. */
const SAME = 10_000

/** @typedef {{ view?: string, seq?: number, ageMs?: number }} Beat */
/** @typedef {{ key: string, body: Beat, at: number, endsAt: number }} Kept */

/** @param {string} name */
export function createQueue(name) {
  /** In place of the session's end until the first answer, unlike any other: only what this page has said is known to be ours then. */
  const unknown = -1e15 * Math.random()
  let endsAt = unknown

  /** Storage may be forbidden or full. @param {(storage: Record<string, string>) => any} use */
  const attempt = (use) => {
    try {
      return use(localStorage)
    } catch {}
  }
  const forget = (/** @type {string} */ key) => attempt((storage) => delete storage[key])
  const keyOf = (/** @type {Beat} */ { view, seq }) => name + " " + view + " " + seq
  const isOurs = (/** @type {Kept} */ item) => item.endsAt === unknown || Math.abs(item.endsAt - endsAt) < SAME
  const keys = () => /** @type {string[]} */ (attempt(Object.keys) ?? []).filter((key) => key.startsWith(name + " "))
  /** What waits, oldest first. What is broken, too old, too much or another session's is forgotten. */
  const read = () => {
    let size = 0
    /** @type {Kept[]} */
    const kept = []
    for (const key of keys()) {
      const item = { ...attempt((storage) => JSON.parse(storage[key])), key }
      if (item.body && Date.now() - item.at < LONGEST && (endsAt === unknown || isOurs(item))) kept.unshift(item)
      else forget(key)
    }
    kept.sort((one, other) => other.at - one.at)
    const fits = (/** @type {Kept} */ { body }, /** @type {number} */ n) =>
      n < MOST && (size += new Blob([JSON.stringify(body)]).size) < LARGEST
    return kept.filter((item, n) => fits(item, n) || void forget(item.key)).reverse()
  }
  return {
    clear: () => keys().forEach(forget),
    /** @param {Beat} beat */
    keep({ ageMs = 0, ...body }) {
      const item = { body: { ...body, kind: "beat" }, at: Date.now() - ageMs, endsAt }
      attempt((storage) => (storage[keyOf(body)] = JSON.stringify(item)))
      read()
    },
    /** The server has told which session this is. @param {number | null} absoluteInMs */
    meet(absoluteInMs) {
      if (absoluteInMs) endsAt = Date.now() + absoluteInMs
      read()
    },
    /** What goes before the next message. @returns {Beat[]} */
    owed: () => read().filter(isOurs).map(({ body, at }) => ({ ...body, ageMs: Math.max(0, Date.now() - at) })),
    /** These have arrived. @param {Beat[]} beats */
    forget: (beats) => beats.forEach((beat) => forget(keyOf(beat))),
  }
}
