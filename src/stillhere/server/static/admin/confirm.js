// Asking before something is done that cannot be taken back.

import { byId, setText } from "../dom.js"
import { sentence } from "./api.js"

/** @typedef {{ title: string, words: string, yes: string, no?: string, act: () => Promise<unknown>, done?: () => void }} Question */

let asked = /** @type {Question | null} */ (null)
const dialog = () => /** @type {HTMLDialogElement} */ (byId("confirm"))

/** @param {Question} question */
export function confirm(question) {
  asked = question
  setText(byId("confirm-title"), question.title)
  setText(byId("confirm-text"), question.words)
  setText(byId("confirm-yes"), question.yes)
  setText(byId("confirm-no"), question.no ?? "Cancel")
  setText(byId("confirm-error"), "")
  dialog().showModal()
}

async function agree() {
  const yes = byId("confirm-yes")
  if (!asked || yes.getAttribute("aria-disabled") === "true") return
  const mine = asked
  yes.setAttribute("aria-disabled", "true")
  try {
    await mine.act()
    dialog().close()
    mine.done?.()
  } catch (error) {
    setText(byId("confirm-error"), `Not done. ${sentence(error)}`)
  } finally {
    yes.removeAttribute("aria-disabled")
  }
}

export function startConfirm() {
  byId("confirm-yes").addEventListener("click", agree)
  byId("confirm-no").addEventListener("click", () => dialog().close())
  dialog().addEventListener("click", event => { if (event.target === dialog()) dialog().close() })
}
