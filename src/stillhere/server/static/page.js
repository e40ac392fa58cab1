// What every page of the demo shares: signing out, and the small clock in the header.

import { duration } from "./format.js"
import { currentSession, signOut } from "./session.js"
import { setText } from "./dom.js"

for (const button of document.querySelectorAll("[data-sign-out]")) {
  button.addEventListener("click", async () => {
    if (!(button instanceof HTMLButtonElement)) return
    button.disabled = true
    const label = button.textContent ?? ""
    setText(button, "Signing out…")
    try {
      await signOut(button.dataset.then, button.dataset.end)
    } catch {
      button.disabled = false
      setText(button, "Try again")
      button.title = `${label.trim()} did not reach the server.`
    }
  })
}

const chip = document.querySelector("[data-presence]")
const session = currentSession()

if (chip instanceof HTMLElement && session) {
  const dot = chip.querySelector(".dot")
  const text = chip.querySelector("[data-presence-text]")
  const show = () => {
    if (document.hidden) return
    const now = session.state()
    const words = { minute: "min" }
    if (text) setText(text, now.state === "ended" ? "session over"
      : `here for ${duration(now.visibleMs, words)} · active ${duration(now.activeMs, words)}`)
    if (dot) dot.className = now.state === "active" ? "dot live" : now.state === "expiring" ? "dot warm" : "dot off"
    chip.hidden = false
  }
  show()
  setInterval(show, 1000)
  document.addEventListener("visibilitychange", show)
}
