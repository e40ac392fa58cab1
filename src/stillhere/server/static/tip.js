// Definitions on hover and focus. A `.term` names its definition with aria-describedby, or brings it as data-tip; this shows the same words.

import { byId, setText } from "./dom.js"

const tip = byId("tip")

/** @param {EventTarget | null} target */
function termOf(target) {
  return target instanceof Element ? target.closest(".term[aria-describedby], .term[data-tip]") : null
}

/** @param {Element} term */
function show(term) {
  const brought = term.getAttribute("data-tip")
  const words = brought ?? (term.getAttribute("aria-describedby") ?? "").split(" ").map(id => document.getElementById(id)?.textContent ?? "").join(" ").trim()
  if (!words) return
  setText(tip, words)
  tip.hidden = false
  const at = term.getBoundingClientRect()
  const own = tip.getBoundingClientRect()
  const below = at.bottom + 8 + own.height < innerHeight
  tip.style.left = `${Math.max(12, Math.min(at.left, innerWidth - own.width - 12))}px`
  tip.style.top = `${below ? at.bottom + 8 : at.top - own.height - 8}px`
}

const hide = () => { tip.hidden = true }

/** Starts listening; terms added later are found too. */
export function startTips() {
  for (const [on, off] of /** @type {const} */ ([["mouseover", "mouseout"], ["focusin", "focusout"]])) {
    document.addEventListener(on, event => {
      const term = termOf(event.target)
      if (term) show(term)
    })
    document.addEventListener(off, event => { if (termOf(event.target)) hide() })
  }
  document.addEventListener("keydown", event => { if (event.key === "Escape") hide() })
  addEventListener("scroll", hide, { passive: true })
}
