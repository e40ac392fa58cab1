// The dashboard: asks every two seconds who is here, and less often for the rest. Sleeps while nobody looks at it.

import { ApiError, getNow } from "./admin-api.js"
import { showNow, startConfirm, tickNow } from "./admin-now.js"
import { refreshVisitors } from "./admin-visitors.js"
import { refreshVisits, startVisits } from "./admin-visits.js"
import { byId, setText } from "./dom.js"
import { clockTime, duration } from "./format.js"
import { startTips } from "./tip.js"

const EVERY_MS = 2000
const REST_EVERY = 5
const SLOWEST_MS = 30_000

let timer = 0
let asking = false
let rounds = 0
let failures = 0
let present = ""
let lastGood = /** @type {Date | null} */ (null)

/**
 * @param {"live" | "trouble" | "paused"} how
 * @param {string} [detail]
 */
function showHealth(how, detail = "") {
  byId("live-dot").className = { live: "dot live", trouble: "dot warm", paused: "dot off" }[how]
  setText(byId("live-word"), { live: "Live", trouble: "Reconnecting…", paused: "Paused" }[how])
  const trouble = byId("trouble")
  trouble.hidden = how !== "trouble"
  if (how === "trouble") setText(trouble, `${detail} ${lastGood ? `What you see is from ${clockTime(lastGood)}.` : "Nothing could be loaded yet."} It goes on by itself.`)
}

/** Asks once. The visits and visitors follow every few rounds, and at once when somebody came or went. */
async function round() {
  const now = await getNow()
  showNow(now)
  const who = now.here.map(one => `${one.session} ${one.present} ${one.left}`).sort().join()
  if (who !== present || rounds % REST_EVERY === 0) await Promise.all([refreshVisits(), refreshVisitors()])
  present = who
  rounds += 1
}

async function poll() {
  clearTimeout(timer)
  if (asking || document.hidden) return
  asking = true
  let wait = EVERY_MS
  try {
    await round()
    failures = 0
    lastGood = new Date()
    showHealth("live")
  } catch (error) {
    failures += 1
    const after = error instanceof ApiError ? error.retryAfter * 1000 : 0
    wait = Math.max(after, Math.min(SLOWEST_MS, EVERY_MS * 2 ** (failures - 1)) * (0.85 + 0.3 * Math.random()))
    showHealth("trouble", `Reconnecting: ${error instanceof Error ? error.message : "unknown trouble"}.`)
    if (!(error instanceof ApiError)) console.error(error)
  }
  asking = false
  if (document.hidden) showHealth("paused")
  else timer = window.setTimeout(poll, wait)
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer)
    showHealth("paused")
  } else void poll()
})
addEventListener("online", () => void poll())

byId("live-dot").title = `Asked every ${duration(EVERY_MS)} while this page is on screen`
startTips()
startConfirm(() => void poll())
setInterval(() => { if (!document.hidden) tickNow() }, 1000)
void startVisits().then(poll)
