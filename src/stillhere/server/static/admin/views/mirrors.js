// The mirrors: what goes to other systems, how far behind it is, and what could not be delivered.

import { el } from "../../dom.js"
import { count, duration } from "../../format.js"
import { act, read, sentence } from "../api.js"
import { confirm } from "../confirm.js"
import { announce, blank, foreign, skeleton, term } from "../parts.js"
import { visitPath } from "../router.js"
import { Sheet } from "../sheet.js"
import { frame } from "../stage.js"
import { timeElement } from "../times.js"

/** @typedef {import("../api.js").Mirror} Mirror */
/** @typedef {import("../api.js").Letter} Letter */
/** @typedef {import("../stage.js").Context} Context */

const EVERY_S = 10

const MANUAL = "https://github.com/stillhere/stillhere/blob/main/docs/mirrors.md"

/** What a mirror's state is called, and how much it matters. @type {Record<string, [tone: string, words: string]>} */
const STATES = {
  well: ["good", "up to date"], behind: ["good", "catching up"], away: ["warm", "the other side takes nothing now"],
  refused: ["warm", "some letters were refused"], off: ["bad", "stopped: the other side wants no more"],
  asleep: ["bad", "no process tells it anything now"],
}

/**
 * The dead letters of a mirror. Their rows stay while they do, so that nothing jumps under a hand.
 * @param {Mirror} mirror
 * @param {Context} context
 */
function letters(mirror, { me, signal, refresh }) {
  const name = encodeURIComponent(mirror.name)
  const operates = me.role === "operator"
  const retry = async (/** @type {Letter} */ letter) => {
    try {
      await act(`mirrors/${name}/dead/${encodeURIComponent(letter.id)}/retry`)
      announce("It is sent again.")
    } catch (error) {
      announce(`Not sent. ${sentence(error)}`)
    }
    refresh()
  }
  const drop = (/** @type {Letter} */ letter) => confirm({
    title: "Give this letter up?", words: `What happened in visit ${letter.visit} will not reach ${mirror.name}. The visit itself stays here.`, yes: "Give up", no: "Keep it",
    act: () => act(`mirrors/${name}/dead/${encodeURIComponent(letter.id)}/drop`), done: refresh,
  })
  const sheet = new Sheet(/** @type {import("../sheet.js").Plan<Letter>} */ ({
    label: `Dead letters of ${mirror.name}`, className: "letters-table", key: letter => String(letter.id), empty: ["Nothing", "Every letter has arrived."],
    columns: [
      { label: "Visit", className: "when", show: letter => el("a", { class: "plain", href: visitPath(letter.visit) }, foreign(letter.visit)) },
      { label: "Given up", className: "when", show: letter => timeElement(letter.at) },
      { label: "Tries", className: "right", show: letter => count(letter.attempts) },
      { label: "Why", className: "why span-all", show: letter => foreign(letter.error) },
      ...(operates ? [{ label: "Action", head: el("span", { class: "visually-hidden" }, "Action"), bare: true, className: "act-cell span-all", show: (/** @type {Letter} */ letter) => el("span", { class: "row tight" },
        el("button", { type: "button", class: "button slim", "aria-label": `Send again: visit ${letter.visit}`, onclick: () => retry(letter) }, "Send again"),
        el("button", { type: "button", class: "button slim danger", "aria-label": `Give up: visit ${letter.visit}`, onclick: () => drop(letter) }, "Give up")) }] : []),
    ],
  }))
  let turn = 0
  const load = async () => {
    const mine = ++turn
    const { letters: found } = await read(`mirrors/${name}/dead`, {}, signal)
    if (mine === turn) sheet.show(found)
  }
  return { element: sheet.element, load }
}

/**
 * Lets a mirror try again: `wake` it, or `retry` all its dead letters, too.
 * @param {Mirror} mirror
 * @param {"wake" | "retry"} how
 * @param {Context} context
 */
async function again({ name }, how, { refresh }) {
  try {
    await act(`mirrors/${encodeURIComponent(name)}/${how}`)
    announce("It tries again.")
  } catch (error) {
    announce(`Not done. ${sentence(error)}`)
  }
  refresh()
}

/**
 * @param {Mirror} mirror
 * @param {Context} context
 * @param {Element | null} dead its dead letters
 */
function card(mirror, context, dead) {
  const [how, words] = STATES[mirror.state] ?? ["warm", mirror.state.replaceAll("_", " ")]
  const fact = (/** @type {import("../../dom.js").Child} */ word, /** @type {import("../../dom.js").Child} */ value) => el("div", {}, el("dt", {}, word), el("dd", {}, value))
  return el("article", { class: "mirror", "aria-label": mirror.name },
    el("header", { class: "section-head" },
      el("h2", {}, el("span", { class: `dot ${how === "good" ? "" : how}`, "aria-hidden": "true" }), foreign(mirror.name)),
      el("p", { class: "muted small" }, `${mirror.kind} · ${words}`)),
    el("dl", { class: "facts num" },
      fact(term("pending", "Waiting"), count(mirror.pending)), fact(term("lag", "Behind"), mirror.lagMs ? duration(mirror.lagMs) : "nothing"),
      fact("Sent", count(mirror.sent)), fact("Last sent", timeElement(mirror.lastSentAt)), fact(term("dead", "Dead letters"), count(mirror.dead))),
    context.me.role === "operator" && (mirror.dead || ["off", "away"].includes(mirror.state)) ? el("p", {}, mirror.dead
      ? el("button", { type: "button", class: "button slim", onclick: () => again(mirror, "retry", context) }, "Send all letters again")
      : el("button", { type: "button", class: "button slim", onclick: () => again(mirror, "wake", context) }, "Try again now")) : null,
    mirror.lastError ? el("p", { class: "notice warm" }, "Last trouble: ", foreign(mirror.lastError)) : null,
    dead)
}

/**
 * @param {Context} context
 * @returns {import("../stage.js").Shown}
 */
export function create(context) {
  const box = el("div", { class: "mirrors" }, skeleton(3, "figures"))
  let was = ""
  /** @type {Map<string, ReturnType<typeof letters>>} */
  const tables = new Map()
  const deadLetters = (/** @type {Mirror} */ mirror) => {
    const table = tables.get(mirror.name) ?? letters(mirror, context)
    tables.set(mirror.name, table)
    void table.load().catch(error => {
      if (context.signal.aborted || tables.get(mirror.name) !== table) return
      tables.delete(mirror.name)
      table.element.replaceChildren(blank("The dead letters can’t be shown", sentence(error)))
    })
    return table.element
  }
  const load = async () => {
    const { mirrors } = /** @type {{ mirrors: Mirror[] }} */ (await read("mirrors", {}, context.signal))
    const now = JSON.stringify(mirrors)
    const refused = mirrors.filter(mirror => mirror.dead)
    if (now === was && refused.every(mirror => tables.has(mirror.name))) return void refused.forEach(deadLetters)
    was = now
    for (const name of [...tables.keys()]) if (!refused.some(mirror => mirror.name === name)) tables.delete(name)
    box.replaceChildren(...(mirrors.length ? mirrors.map(mirror => card(mirror, context, mirror.dead ? deadLetters(mirror) : null))
      : [blank("No mirror is set up", "A mirror copies visits to a spreadsheet, a webhook or a mailbox as they happen. It is set up where the server’s other settings are.",
        el("a", { class: "button", href: MANUAL, target: "_blank", rel: "noopener noreferrer" }, "How to set one up"))]))
  }
  let seconds = 0
  return {
    title: "Mirrors",
    element: frame("Mirrors", { lede: "Where visits are copied to, and whether they arrive." }, box),
    load,
    tick() { if (++seconds % EVERY_S === 0 && !box.contains(document.activeElement)) void load().catch(() => {}) },
  }
}
