/**
 * The tabs of one browser tell each other what they know. Nobody is elected, nobody is waited for longer than a moment, and nothing
 * depends on it: without the channel every tab speaks for itself.
 *
 * @import { Body, Overheard } from "./types.js"
 */

/** How long a message waits for what other tabs want to send with it. */
const BOARDING = 150

/**
 * @param {string} name  of the channel; tabs of one session share it
 * @param {(event: Overheard) => void} hear
 */
export function joinTabs(name, hear) {
  /** @type {BroadcastChannel | undefined} */
  let channel
  let hasCompany = false
  /** @type {Body[] | null} */
  let boarding = null

  const tell = (/** @type {object} */ message) => channel?.postMessage({ ...message, at: Date.now() })
  /** A channel left open would keep the page out of the back/forward cache. */
  const leave = () => {
    channel?.close()
    channel = undefined
  }
  const enter = () => {
    if (channel || !globalThis.BroadcastChannel) return
    channel = new BroadcastChannel(name)
    channel.onmessage = ({ data }) => {
      hasCompany = true
      if (data.type === "body") boarding?.push(data.body)
      // The wall clock is the only one that tabs share; a message can wait long at a frozen one.
      else hear({ ...data, ageMs: (data.ageMs || 0) + Math.max(0, Date.now() - data.at) })
    }
  }
  /** What other tabs on screen have to say, to go with our message. @returns {Promise<Body[]>} */
  const collect = async () => {
    tell({ type: "ride" })
    if (!hasCompany) return []
    /** @type {Body[]} */
    const bodies = (boarding = [])
    await new Promise((done) => setTimeout(done, BOARDING))
    boarding = null
    return bodies
  }
  enter()
  return { tell, collect, enter, leave }
}

/**
 * Whether it is this tab that shows the notice of the end: one on screen, and the first of those to ask.
 * @param {string} name
 * @param {AbortSignal} signal  the client stops, or its page is left
 * @returns {Promise<boolean>}
 */
export const claim = (name, signal) =>
  new Promise((done) => {
    if (document.hidden) done(false)
    else if (!navigator.locks) done(true)
    // Held until then: who comes later finds it taken.
    else {
      navigator.locks
        .request(name, { ifAvailable: true }, (lock) => (done(!!lock), lock && new Promise((free) => (signal.onabort = free))))
        .catch(() => done(true))
    }
  })

/** 96 random bits as digits. */
export const randomId = () => crypto.getRandomValues(new Uint32Array(3)).join("")

/**
 * The name of this tab, the same as long as it lives, reloads included. While a page uses the name it is not in the storage: a duplicated
 * tab finds none in its copy, and takes its own. Storage may be forbidden; then the tab is new with every page.
 * @param {string} [kept]  a name to put back, for the next page of this tab
 */
export function tabId(kept) {
  let id = kept
  try {
    if (kept) sessionStorage.stillhereTab = kept
    else {
      id = sessionStorage.stillhereTab
      delete sessionStorage.stillhereTab
    }
  } catch {}
  return id || randomId()
}
