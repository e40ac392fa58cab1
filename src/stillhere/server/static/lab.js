// The lab: shows the session's clocks as they run and every message as it passes.

import { byId, setText } from "./dom.js"
import { duration, percent, remaining } from "./format.js"
import { logMessage } from "./lab-log.js"
import { currentSession } from "./session.js"

const REASONS = /** @type {Record<string, string>} */ ({
  idle: "Nobody was active for too long.", absolute: "The session reached its absolute end.", signed_out: "You signed out.",
  revoked: "It was ended from elsewhere.", replaced: "You signed in again somewhere.", no_session: "The server knows no session here.",
})

const facts = byId("now").dataset
const idleLimit = Number(facts.idleSeconds) * 1000
const absoluteLimit = Number(facts.absoluteSeconds) * 1000
const session = currentSession()

/** When the server last answered, on this page's monotonic clock, and how long until it wants the next beat. */
const heard = { at: /** @type {number | null} */ (null), nextMs: /** @type {number | null} */ (null) }
let quiet = false
let scroll = 0
let over = ""

/**
 * @param {string} name
 * @param {number} share 0 to 1
 * @param {string} text
 * @param {"" | "warm" | "off"} colour
 */
function setDial(name, share, text, colour) {
  const arc = byId(`${name}-arc`)
  arc.setAttribute("stroke-dasharray", `${(100 * Math.min(1, Math.max(0, share || 0))).toFixed(2)} 100`)
  arc.parentElement?.setAttribute("class", `dial ${colour}`)
  setText(byId(`${name}-number`), text)
}

/** @param {import("./session.js").SessionState} now */
function showState(now) {
  /** @type {Record<import("./session.js").SessionState["state"], [word: string, line: string, dot: string]>} */
  const words = {
    active: quiet ? ["Active, hands off", "Nothing you do here counts until you resume.", "live"] : ["Active", "Somebody is here, and the server knows.", "live"],
    expiring: now.canExtend ? ["Expiring", "The warning is due. “Stay signed in” moves the idle deadline.", "warm"]
      : ["Expiring", "The absolute end is near, and nothing moves it. Save your work.", "warm"],
    ended: ["Over", over || "The session is over, for good.", "bad"],
    unknown: ["Reconnecting", "The server can’t be reached. You stay signed in; the tab tries again by itself.", "off"],
  }
  const [word, line, dot] = words[now.state]
  byId("now").dataset.state = now.state
  byId("state-dot").className = `dot ${dot}`
  setText(byId("state-word"), word)
  setText(byId("state-line"), line)
  const ended = now.state === "ended"
  setText(byId("warn-label"), now.state === "expiring" ? "Warning" : "Warning in")
  setText(byId("warn-in"), ended ? "–" : now.state === "expiring" ? "now" : remaining(now.warnInMs))
  setText(byId("over-in"), ended ? "–" : remaining(now.expiresInMs))
}

/** @param {import("./session.js").SessionState} now */
function showDials(now) {
  const ended = now.state === "ended"
  const since = heard.at == null ? null : performance.now() - heard.at
  const until = heard.nextMs == null || since == null ? 0 : since / Math.max(1, heard.nextMs)
  setDial("seen", until, duration(since), ended ? "off" : "")
  const colour = ended ? "off" : now.state === "expiring" ? "warm" : ""
  const byIdle = (now.idleInMs ?? Infinity) <= (now.absoluteInMs ?? Infinity)
  setDial("idle", ended ? 0 : (now.idleInMs ?? 0) / idleLimit, ended ? "over" : remaining(now.idleInMs), byIdle ? colour : "")
  setDial("absolute", ended ? 0 : (now.absoluteInMs ?? 0) / absoluteLimit, ended ? "over" : remaining(now.absoluteInMs), byIdle ? "" : colour)
  const known = now.idleInMs != null && !ended
  byId("idle-deadline").hidden = !known || !byIdle
  byId("absolute-deadline").hidden = !known || byIdle
}

/** @param {import("./session.js").SessionState} now */
function showView(now) {
  setText(byId("view-visible"), duration(now.visibleMs))
  setText(byId("view-active"), duration(now.activeMs))
  setText(byId("view-idle"), now.idleMs == null ? "no input yet" : duration(now.idleMs))
  setText(byId("view-scroll"), percent(scroll))
  setText(byId("view-id"), now.view ?? "–")
  setText(byId("tab-id"), now.tab ?? "–")
}

/** The same measure as the client's: the lowest point of the page that was on screen. */
function measureScroll() {
  const root = document.documentElement
  scroll = Math.max(scroll, Math.min(100, (100 * (window.scrollY + window.innerHeight)) / Math.max(1, root.scrollHeight)))
}

/** @param {string} text */
const say = text => setText(byId("try-said"), text)

/**
 * @param {string} id
 * @param {string} done what to say when it went well
 * @param {() => unknown} act
 */
function onClick(id, done, act) {
  const button = byId(id)
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return
    button.setAttribute("aria-disabled", "true")
    try {
      await act()
      say(done)
    } catch (error) {
      say(`That did not work: ${error instanceof Error ? error.message : String(error)}.`)
    } finally {
      button.removeAttribute("aria-disabled")
    }
  })
}

/** Revokes this session as somebody else would: the tab is told nothing. */
async function endFromElsewhere() {
  const answer = await fetch("/lab/end", { method: "POST", headers: { "X-Stillhere": "1", "X-Heartbeat": "true" } })
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`)
}

/** @param {import("./session.js").Session} live */
function run(live) {
  const show = () => {
    if (document.hidden) return
    measureScroll()
    const now = live.state()
    showState(now)
    showDials(now)
    showView(now)
  }

  live.on("message", (/** @type {import("./session.js").Message} */ message) => {
    if (message.via !== "beacon" && message.status === 200) {
      heard.at = performance.now()
      heard.nextMs = message.answer?.nextBeatMs ?? heard.nextMs
    }
    logMessage(message)
    show()
  })
  live.on("ended", ({ reason, detail }) => {
    over = detail || REASONS[reason] || ""
    show()
  })
  for (const name of ["state", "expiring", "extended", "error"]) live.on(name, show)

  onClick("check", "Checked. The answer is at the top of the log; no deadline moved.", () => live.check())
  onClick("beat", "Beaten. The idle clock now counts from your last input, which was this click.", () => live.beat())
  onClick("extend", "You chose to stay. The idle clock is full again.", () => live.extend())
  onClick("revoke", "Revoked on the server. This tab does not know yet: it learns at its next message. Press “Check now” to hear it at once.", endFromElsewhere)
  onClick("end", "Signed out.", () => live.end())

  const quietButton = byId("quiet")
  quietButton.setAttribute("aria-pressed", "false")
  quietButton.addEventListener("click", () => {
    quiet = !quiet
    live.quiet(quiet)
    quietButton.setAttribute("aria-pressed", String(quiet))
    setText(quietButton, quiet ? "Resume" : "Hands off")
    say(quiet ? "Hands off. Move and type as you like: nothing counts, and the idle clock runs down." : "Counting again. Your next input refills the idle clock at the next beat.")
    show()
  })

  addEventListener("scroll", measureScroll, { passive: true })
  document.addEventListener("visibilitychange", show)
  show()
  setInterval(show, 250)
}

if (session) run(session)
else byId("no-client").hidden = false
