import assert from "node:assert/strict"
import { test } from "node:test"
import { createPage, answer } from "./page.js"

/** A small seeded generator. @param {number} seed */
function dice(seed) {
  let x = seed * 2_654_435_761 + 1
  const next = () => {
    x = (Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    x ^= x >>> 13
    return (x >>> 0) / 2 ** 32
  }
  return { next, below: (/** @type {number} */ n) => Math.floor(next() * n) }
}

const EVENTS = ["visible", "hidden", "input", "input", "timer", "check", "beat", "stay", "dismiss", "online", "pagehide", "restored", "end"]
const OTHERS = ["navigated", "freeze", "ride", "heard", "waits", "evidence", "over", "unheard of"]

/**
 * What else happens: another path, and what other tabs tell. @param {string} type @param {ReturnType<typeof dice>} random @param {number} n
 */
function tell(type, random, n) {
  const ageMs = random.below(4) ? random.below(2_000) : random.below(3_600_000)
  const warnInMs = random.below(600_000)
  return {
    type,
    ageMs,
    view: "n" + n,
    scrollPct: random.below(101),
    answer: answer({ expiresInMs: warnInMs + random.below(120_000), warnInMs, canExtend: random.below(2) > 0, nextBeatMs: random.below(180_000) }),
    views: [undefined, [], ["view-1", "v1", "n1"]][random.below(3)],
    retryInMs: random.below(120_000),
    retryAfterMs: random.below(3) ? 0 : random.below(60_000),
    over: { reason: "revoked" },
    isOld: true,
  }
}

/** @param {ReturnType<typeof createPage>} page @param {ReturnType<typeof dice>} random */
function outcome(page, random) {
  const roll = random.below(20)
  if (roll === 0) page.hear({ type: "over", over: { reason: "idle" } })
  else if (roll < 6) page.hear({ type: "failed", message: "x", random: random.next(), retryAfterMs: roll < 3 ? random.below(60_000) : 0 })
  else answered(page, random, roll)
}

/** @param {ReturnType<typeof createPage>} page @param {ReturnType<typeof dice>} random @param {number} roll */
function answered(page, random, roll) {
  const warnInMs = roll < 12 ? 0 : random.below(600_000)
  page.answer({ expiresInMs: warnInMs + random.below(120_000), warnInMs, canExtend: roll % 2 > 0, nextBeatMs: random.below(180_000) })
}

/** @param {number} seed @param {boolean} everVisible */
function live(seed, everVisible) {
  const random = dice(seed)
  const page = createPage(seed % 2 ? {} : { lag: 1_000 + random.below(2_000) })
  const facts = { inFlight: false, ended: 0, stayed: false, at: 0, visibleMs: 0, view: "" }
  for (let i = 0; i < 150; i++) {
    let from = page.effects.length
    const isTold = random.below(4) === 0
    // Of the end they tell rarely, or most lives would be short.
    const type = isTold ? OTHERS[random.below(OTHERS.length - (random.below(8) ? 2 : 0))] : EVENTS[random.below(EVENTS.length)]
    if (random.below(3) === 0) page.wait(random.below(40_000))
    else page.sleep(random.below(random.below(9) ? 5_000 : 3_600_000))
    check(page, page.effects.slice(from), facts, false)
    from = page.effects.length
    const answering = facts.inFlight && random.below(2) === 0
    if (answering) outcome(page, random)
    else if (isTold) page.on(tell(type, random, i))
    else if (type === "restored") page.on({ type, view: "v" + i, visible: everVisible && random.below(2) > 0 })
    else if (everVisible || type !== "visible") page.on(type)
    facts.stayed ||= type === "stay" && !answering
    const before = facts.ended
    // A new view does not wait for the answer to the old one.
    check(page, page.effects.slice(from), facts, answering || page.state.view !== facts.view)
    assert.ok(before === facts.ended || answering || type === "over", `ended by ${type}, though nobody said so`)
  }
  page.on("stop").clear()
  for (const [n, type] of [...EVENTS, ...OTHERS].entries()) page.sleep(60_000).on({ ...tell(type, random, n), visible: true, ageMs: 0 })
  assert.deepEqual(page.effects.filter(({ type }) => type !== "redirect" || !facts.ended), [], "a word after stop")
  if (!everVisible) assert.deepEqual(page.kinds(), [])
  return page
}

/** @param {ReturnType<typeof createPage>} page @param {any[]} effects @param {any} facts @param {boolean} freed */
function check(page, effects, facts, freed) {
  let sends = 0
  for (const { type, body } of effects) {
    if (type === "redirect") continue
    assert.equal(facts.ended, 0, `${type} after the end`)
    if (type === "send") {
      assert.ok(++sends <= (facts.inFlight && !freed ? 0 : 1), "two messages in flight")
      if (body.kind === "extend") assert.ok(facts.stayed, "an extend nobody chose")
    }
    if (type === "timer") assert.ok(effects.length < 1_000, "a timer that spins")
  }
  facts.ended += effects.filter(({ type }) => type === "ended").length
  assert.ok(facts.ended <= 1, "ended twice")
  facts.inFlight = !!page.state.inFlight && !page.state.phase
  const { at, visibleMs, activeMs, view } = page.state
  if (view === facts.view) {
    assert.ok(visibleMs >= facts.visibleMs, "visible time ran back")
    assert.ok(visibleMs - facts.visibleMs <= at - facts.at + 1, "more visible time than time")
  }
  assert.ok(activeMs <= visibleMs, "more active than visible")
  Object.assign(facts, { visibleMs, view, at })
}

test("whatever happens in whatever order, the promises hold", () => {
  for (let seed = 1; seed <= 1_500; seed++) live(seed, true)
})

test("whatever happens to a page nobody sees, it is silent", () => {
  for (let seed = 1; seed <= 200; seed++) live(seed, false)
})

test("left alone for a day with any answer, the machine never spins", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = dice(seed)
    const warnInMs = random.below(2) ? 0 : random.below(600_000)
    const page = createPage().replies({ type: "answer", answer: answer({ expiresInMs: warnInMs + random.below(100_000), warnInMs }) })
    page.on("visible").wait(86_400_000)
    assert.ok(page.sent().length < 86_400 + 10, String(page.sent().length))
  }
})
