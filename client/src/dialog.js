/**
 * What people see: the warning, and the notice of the end. One native dialog in a shadow root, built by hand and styled by a
 * constructed sheet, so that it lives under a strict Content-Security-Policy and under any page's own styles.
 *
 * @import { UI } from "./types.js"
 */
import { css } from "./style.js"

/** All words. `texts` of start() replaces any of them, and may add a sentence for each reason of an ending. */
export const TEXTS = {
  title: "Are you still here?",
  body: "You will be signed out soon because nothing has happened here for a while.",
  finalTitle: "Your session is ending",
  finalBody: "It can’t be extended any more. Please save your work.",
  stay: "Stay signed in",
  end: "Sign out",
  ok: "OK",
  trouble: "The server can’t be reached. Trying again…",
  minutes: (/** @type {number} */ n) => n + (n > 1 ? " minutes" : " minute"),
  seconds: (/** @type {number} */ n) => n + (n > 1 ? " seconds" : " second"),
  overTitle: "Session over",
  over: "Please sign in again.",
  signed_out: "You have signed out.",
  signIn: "Sign in",
}

/**
 * @param {(type: "stay" | "dismiss" | "end") => void} say
 * @param {Record<string, any>} [replaced]
 * @returns {UI}
 */
export function createDialog(say, replaced) {
  /** @type {typeof TEXTS & Record<string, any>} */
  const texts = { ...TEXTS, ...replaced }
  const { host, dialog, dial, title, body, spoken, status, primary, secondary } = build()
  /** @type {() => void} */
  let choose
  let mode = ""
  let ticking = 0
  let totalMs = 0
  let until = 0

  const tick = () => {
    const leftMs = Math.max(0, until - performance.now())
    const seconds = Math.ceil(leftMs / 1e3)
    dial.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0")
    dial.style.setProperty("--left", String(leftMs / totalMs))
    // Said each minute, and each 20 seconds in the last one: a voice that counts seconds drowns the rest.
    const paced = seconds > 60 ? texts.minutes(Math.ceil(seconds / 60)) : texts.seconds(Math.ceil(seconds / 20) * 20)
    if (spoken.textContent !== paced) spoken.textContent = paced
  }
  /** @param {string} next @param {string[]} words @param {() => void} chosen */
  const open = (next, words, chosen) => {
    clearInterval(ticking)
    mode = dialog.className = next
    ;[title.textContent, body.textContent, primary.textContent] = words
    secondary.textContent = texts.end
    status.textContent = spoken.textContent = ""
    primary.disabled = false
    choose = chosen
    document.documentElement.append(host)
    if (!dialog.open) dialog.showModal()
    primary.focus()
  }
  const hide = () => {
    mode = ""
    clearInterval(ticking)
    // Closing gives the focus back, as long as the dialog is in the page.
    dialog.close()
    host.remove()
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
    if (!mode || dialog.open) return
    dialog.showModal()
    choose()
  }

  return {
    hide,
    warn({ expiresInMs, canExtend, failures }) {
      const next = canExtend ? "warn" : "final"
      until = performance.now() + Number(expiresInMs)
      if (mode !== next) {
        totalMs = Number(expiresInMs)
        if (canExtend) {
          open(next, [texts.title, texts.body, texts.stay], () => {
            primary.disabled = true
            say("stay")
          })
        } else open(next, [texts.finalTitle, texts.finalBody, texts.ok], () => say("dismiss"))
        ticking = Number(setInterval(tick, 1e3))
      }
      status.textContent = failures ? texts.trouble : ""
      tick()
    },
    notice({ reason, detail }, leave) {
      const sentence = replaced?.[reason] ?? detail ?? texts[reason] ?? texts.over
      open("over", [texts.overTitle, sentence, leave ? texts.signIn : texts.ok], leave ?? hide)
    },
  }
}

/**
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {Node[]} children
 * @returns {any}
 */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag)
  for (const name in attributes) element.setAttribute(name, attributes[name])
  element.append(...children)
  return element
}

/** @returns {Record<"title" | "body" | "spoken" | "status" | "dial" | "host", HTMLElement>
 *    & { dialog: HTMLDialogElement, primary: HTMLButtonElement, secondary: HTMLButtonElement }} */
function build() {
  const host = make("stillhere-dialog")
  const root = host.attachShadow({ mode: "open" })
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(css)
  root.adoptedStyleSheets = [sheet]
  // Ticking seconds are for the eye only; `spoken` is for the ear.
  const dial = make("div", { id: "dial", "aria-hidden": "true" })
  const title = make("h2", { id: "title" })
  const body = make("p", { id: "body" })
  const spoken = make("p", { id: "spoken", "aria-live": "polite" })
  const status = make("p", { role: "status" })
  const secondary = make("button")
  const primary = make("button", { id: "primary" })
  const labels = { role: "alertdialog", "aria-labelledby": "title", "aria-describedby": "body" }
  const text = make("div", {}, title, body, spoken, status)
  const dialog = make("dialog", labels, dial, text, make("footer", {}, secondary, primary))
  root.append(dialog)
  return { host, dialog, dial, title, body, spoken, status, primary, secondary }
}
