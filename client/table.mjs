/**
 * Writes the transition table and the diagram of the machine into docs/machine.md, from the machine itself: every situation is reached by
 * events, every event is put to it, and what comes out is written down. `--check` says whether the page is current.
 */
import { readFile, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { initial, step } from "./src/machine.js"

const page = fileURLToPath(new URL("../docs/machine.md", import.meta.url))
const MINUTE = 60_000
const ANSWER = { expiresInMs: 20 * MINUTE, idleInMs: 20 * MINUTE, absoluteInMs: 600 * MINUTE, warnInMs: 18 * MINUTE, nextBeatMs: 3 * MINUTE, canExtend: true }
const WARNING = { ...ANSWER, expiresInMs: MINUTE, warnInMs: 0 }
const SOON = 10_000

/** @typedef {import("./src/state.js").State} State */
/** An event by its type, its facts, and for a timer what the last answer has said falls due. @typedef {[string, object?, object?]} Deed */

const answer = (/** @type {object} */ answer) => /** @type {Deed} */ (["answer", { answer }])
/** @type {Record<string, (due: object) => Deed[]>} */
const WAYS = {
  unseen: () => [],
  asking: () => [["visible"]],
  resting: (due) => [["visible"], answer({ ...ANSWER, ...due })],
  warned: (due) => [["visible"], answer({ ...WARNING, ...due, warnInMs: 0 })],
  waiting: () => [["visible"], ["failed"]],
  hidden: (due) => [["visible"], answer({ ...ANSWER, ...due }), ["hidden"]],
  ended: () => [["visible"], ["over"]],
}

/** @type {Record<string, Deed>} */
const EVENTS = {
  visible: ["visible"],
  "hidden, pagehide": ["hidden"],
  restored: ["restored"],
  navigated: ["navigated"],
  input: ["input"],
  "timer, a beat due": ["timer", {}, { nextBeatMs: SOON }],
  "timer, the warning due": ["timer", {}, { warnInMs: SOON }],
  "timer, the deadline past": ["timer", {}, { warnInMs: SOON, expiresInMs: SOON }],
  online: ["online"],
  stay: ["stay"],
  dismiss: ["dismiss"],
  check: ["check"],
  beat: ["beat"],
  end: ["end"],
  answer: answer(ANSWER),
  "answer, the warning due": answer(WARNING),
  failed: ["failed"],
  over: ["over"],
  "ride (another tab sends)": ["ride"],
  "heard (another tab's answer)": ["heard", { answer: ANSWER }],
  "waits (another tab's trouble)": ["waits"],
  "evidence (input in another tab)": ["evidence"],
  stop: ["stop"],
}

/** @param {State} state @param {Deed} deed @param {number} at @returns {[State, any[]]} */
const put = (state, [type, facts], at) =>
  step(
    state,
    /** @type {any} */ ({
      type,
      view: "view",
      visible: true,
      views: [],
      ageMs: 0,
      retryInMs: 1_000,
      retryAfterMs: 0,
      random: 1,
      message: "",
      over: { reason: "idle" },
      ...facts,
      ...((type === "answer" || type === "failed") && { body: state.inFlight }),
    }),
    at,
  )

/** Which of the situations a state is. @param {State} s */
function situation(s) {
  if (s.phase) return s.phase === "stop" ? "stopped" : s.phase
  if (!s.wasSeen) return "unseen"
  if (s.isWarned) return "warned"
  if (s.inFlight) return "asking"
  if (s.retryAt > s.at) return "waiting"
  return s.onScreen ? "resting" : "hidden"
}

const NAMES = /** @type {Record<string, string>} */ ({
  unwarn: "take the warning away",
  warn: "warn",
  beacon: "leave by beacon",
  ride: "totals to the other tab",
  keep: "keep last words",
  will: "leave a last will",
})

/** @param {any[]} effects */
const words = (effects) =>
  effects
    .filter(({ type, body }) => type !== "timer" && type !== "state" && body !== null)
    .map(({ type, body, path }) => (type === "send" ? "send " + (path === "/end" ? "end" : body.kind) : (NAMES[type] ?? "tell `" + type + "`")))

/** @type {Map<string, Set<string>>} */
const moves = new Map()
const rows = Object.entries(EVENTS).map(([name, deed]) => {
  const cells = Object.entries(WAYS).map(([from, way]) => {
    let state = initial({ view: "view" })
    const [type, , due] = deed
    for (const done of way(due ?? {})) [state] = put(state, done, 1_000)
    if (situation(state) !== from) throw new Error(`${from} is ${situation(state)}`)
    // Only what can happen: no answer without a question, nothing due without an answer that said so.
    if ((type === "answer" || type === "failed") && !state.inFlight) return ""
    if (due && (!state.lastAnswer || (from === "warned" && name.includes("warning")))) return ""
    const [after, effects] = put(state, deed, state.at + (due ? SOON : 0))
    const to = situation(after)
    if (to !== from) moves.set(from + " " + to, (moves.get(from + " " + to) ?? new Set()).add(name.split(",")[0].split(" ")[0]))
    return [to === from ? "" : `**${to}**`, ...words(effects)].filter(Boolean).join(", ") || "·"
  })
  return `| ${name} | ${cells.join(" | ")} |`
})

const table = ["| event | " + Object.keys(WAYS).join(" | ") + " |", "|---|" + "---|".repeat(Object.keys(WAYS).length), ...rows].join("\n")
const arrows = [...moves].map(([move, events]) => `  ${move.replace(" ", " --> ")}: ${[...events].join(", ")}`)
const diagram = ["```mermaid", "stateDiagram-v2", "  [*] --> unseen", ...arrows, "  ended --> [*]", "  stopped --> [*]", "```"].join("\n")

const before = await readFile(page, "utf8")
const between = (/** @type {string} */ name, /** @type {string} */ text, /** @type {string} */ inside) =>
  text.replace(RegExp(`(<!-- ${name} -->)[^]*(<!-- end of ${name} -->)`), (_, open, close) => `${open}\n${inside}\n${close}`)
const after = between("diagram", between("table", before, table), diagram)
if (process.argv[2] === "--check") {
  if (after !== before) {
    console.error("docs/machine.md is stale: run `node table.mjs` in client/ and commit the result.")
    process.exit(1)
  }
} else await writeFile(page, after)
