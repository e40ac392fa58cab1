/**
 * What people see: the warning, a modal dialog; and the end, a toast. Both show one card in one shadow root, built by hand and styled by a
 * constructed sheet, so that it lives under a strict Content-Security-Policy and under any page's own styles.
 *
 * @import { Options, UI } from "./types.js"
 * @import { Texts } from "./texts.js"
 */
import { createHints } from "./hints.js"
import { css } from "./style.js"
import { TEXTS, loadTexts } from "./texts.js"

const NONE = 0
const OVER = 1
const WARN = 2
const FINAL = 3

/**
 * @param {(type: "stay" | "dismiss" | "end") => void} say
 * @param {Options} [options]
 * @returns {UI}
 */
export function createDialog(say, options = {}) {
  const { texts: replaced, endpoint = "/session" } = options
  /** @type {Texts} */
  let texts = { ...TEXTS, ...replaced }
  const host = make("stillhere-dialog")
  // Ticking seconds are for the eye only; `spoken` is for the ear.
  const dial = make("div", { id: "dial", "aria-hidden": "true" })
  const title = make("h2", { id: "title" })
  const body = make("p", { id: "body" })
  const spoken = make("p", { id: "spoken", "aria-live": "polite" })
  const status = make("p", { id: "status", role: "status" })
  const secondary = make("button", { id: "secondary" })
  const primary = make("button", { id: "primary" })
  const card = make("div", { id: "card" }, dial, make("div", {}, title, body, spoken, status), make("footer", {}, secondary, primary))
  const dialog = make("dialog", { role: "alertdialog", "aria-labelledby": "title", "aria-describedby": "body" })
  const toast = make("div", { id: "toast", role: "alert", popover: "manual" })
  const root = host.attachShadow({ mode: "open" })
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(css)
  root.adoptedStyleSheets = [sheet]
  root.append(dialog, toast)

  const hints = createHints(endpoint + "/client/dot.svg")
  let mode = NONE
  let watch = new AbortController()
  /** @type {any} */
  let ticking
  let totalMs = 0
  let until = 0
  /** Title, sentence, first button, and what else is to be said. @type {() => (string | undefined)[]} */
  let words = () => []
  /** @type {() => void} */
  let choose
  /** @type {HTMLElement[]} */
  const sealed = []

  const draw = () => {
    const said = words()
    ;[title, body, primary, status].forEach((element, n) => {
      // What is set anew, though the same, some voices say again.
      if (element.textContent !== said[n]) element.textContent = said[n] ?? ""
    })
    secondary.textContent = texts.end
    card.lang = texts.lang
    card.dir = texts.dir
  }
  const tick = () => {
    const leftMs = Math.max(0, until - performance.now())
    const seconds = Math.ceil(leftMs / 1e3)
    dial.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0")
    dial.style.setProperty("--left", String(leftMs / totalMs))
    hints.show(dial.textContent)
    // Said each minute, and each 20 seconds in the last one: a voice that counts seconds drowns the rest.
    /** @type {[number, string]} */
    const [n, unit] = seconds > 60 ? [Math.ceil(seconds / 60), "minute"] : [Math.ceil(seconds / 20) * 20, "second"]
    const paced = n.toLocaleString(texts.lang, { style: "unit", unit, unitDisplay: "long" })
    if (spoken.textContent !== paced) spoken.textContent = paced
  }
  const hide = () => {
    mode = NONE
    watch.abort()
    clearInterval(ticking)
    hints.show()
    // Closing gives the focus back, as long as the dialog is in the page.
    dialog.close()
    host.remove()
    for (const element of sealed.splice(0)) {
      element.inert = false
      element.style.filter = ""
    }
  }
  const sealPage = () => {
    for (const child of (host.parentElement ?? document.documentElement).children) {
      const element = /** @type {HTMLElement} */ (child)
      if (element === host || element.inert) continue
      element.inert = true
      element.style.filter = "blur(2em)"
      sealed.push(element)
    }
  }

  primary.onclick = () => choose()
  secondary.onclick = () => say("end")
  // Escape is an answer, too. The dialog goes when the server has agreed.
  dialog.oncancel = (event) => {
    event.preventDefault()
    choose()
  }
  // Browsers let a second Escape through. Of our own closing they tell late, when the next thing may be open already.
  dialog.onclose = () => {
    if (mode < WARN || dialog.open) return
    dialog.showModal()
    choose()
  }
  if (!replaced?.lang) {
    loadTexts(options).then((loaded) => {
      texts = { ...TEXTS, ...loaded, ...replaced }
      draw()
    })
  }

  return {
    hide,
    sealPage,
    title: hints.title,
    warn({ expiresInMs, canExtend, failures }) {
      const next = canExtend ? WARN : FINAL
      const leftMs = /** @type {number} */ (expiresInMs)
      until = performance.now() + leftMs
      words = () => [
        ...(canExtend ? [texts.title, texts.body, texts.stay] : [texts.finalTitle, texts.finalBody, texts.ok]),
        failures ? texts.trouble : "",
      ]
      draw()
      if (!mode) {
        watch = new AbortController()
        for (const type of ["focus", "blur", "visibilitychange"]) addEventListener(type, tick, watch)
        ticking = setInterval(tick, 1e3)
        dialog.append(card)
        document.documentElement.append(host)
        dialog.showModal()
      }
      if (mode !== next) {
        mode = next
        totalMs = leftMs
        primary.disabled = false
        primary.focus()
        choose = () => {
          primary.disabled = canExtend
          say(canExtend ? "stay" : "dismiss")
        }
      }
      tick()
    },
    notice({ reason, detail }, leave, isUnsaved) {
      hide()
      mode = OVER
      words = () => [texts.overTitle, texts[reason] ?? detail ?? texts.over, leave ? texts.signIn : texts.ok, isUnsaved ? texts.unsaved : ""]
      choose = leave ?? hide
      primary.disabled = false
      spoken.textContent = ""
      draw()
      toast.append(card)
      // Beside an application's own modal dialog nothing could be clicked.
      ;([...document.querySelectorAll("dialog:modal")].pop() ?? document.documentElement).append(host)
      toast.showPopover?.()
      // Who is about to copy a text must not press a button instead.
      if (!leave || isUnsaved) return
      sealPage()
      primary.focus()
    },
  }
}

/**
 * @template {string} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {Node[]} children
 * @returns {Tag extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Tag] : HTMLElement}
 */
function make(tag, attributes, ...children) {
  /** @type {any} */
  const element = document.createElement(tag)
  for (const name in attributes) element.setAttribute(name, attributes[name])
  element.append(...children)
  return element
}
