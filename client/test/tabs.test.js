import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { MINUTE, answer, createPage, dead, over } from "./page.js"

const SECOND = 1_000

/**
 * Tabs of one browser around one server, second by second. What a tab sends takes along what the others on screen have to say, and what it
 * hears they hear, as the engine does it.
 * @param {number} count
 * @param {(message: { from: number, bodies: any[] }, now: number) => any} [serve]  the outcome of a message
 */
function createBrowser(count, serve = () => ({ type: "answer", answer: answer() })) {
  const tabs = Array.from({ length: count }, (_, i) => createPage({ view: "view-" + i, lag: SECOND + i * 100 }))
  /** @type {{ at: number, from: number, bodies: any[] }[]} */
  const requests = []
  const stopped = new Set()
  const others = (/** @type {number} */ me) => tabs.filter((_, i) => i !== me && !stopped.has(i))
  const deliver = () => {
    for (const [from, tab] of tabs.entries()) {
      for (let effect; (effect = tab.effects.shift()); ) {
        const { type, body } = effect
        if (type === "beacon" && body.idleMs >= 0) for (const other of others(from)) other.on({ type: "evidence", ageMs: body.idleMs })
        if (type === "ended") for (const other of others(from)) other.on(over)
        if (type === "send") speak(from, body)
      }
    }
  }
  const speak = (/** @type {number} */ from, /** @type {any} */ own) => {
    const riders = own.kind === "check" ? [] : others(from).flatMap((tab) => {
      const before = tab.effects.length
      tab.on("ride")
      return tab.effects.splice(before).filter(({ type }) => type === "ride").map(({ body }) => body)
    })
    const message = { at: tabs[from].now, from, bodies: [...riders, own] }
    requests.push(message)
    const outcome = serve(message, message.at)
    tabs[from].hear(outcome)
    const views = riders.map(({ view }) => view)
    if (outcome.type === "answer") for (const tab of others(from)) tab.on({ type: "heard", answer: outcome.answer, ageMs: 0, views })
    if (outcome.type === "failed") {
      const { detail } = tabs[from].all("error").at(-1) ?? {}
      for (const tab of others(from)) tab.on({ type: "waits", ...detail })
    }
  }
  return {
    tabs,
    requests,
    /** Frozen, crashed, or stopped by the system: neither timers nor messages reach it. @param {number} i */
    stop: (i) => void stopped.add(i),
    /** @param {number} i */
    go: (i) => void stopped.delete(i),
    /** @param {string} type */
    all(type) {
      for (const tab of tabs) tab.on(type)
      deliver()
    },
    deliver,
    /** @param {number} ms */
    wait(ms) {
      for (let left = ms; left > 0; left -= 100) {
        for (const [i, tab] of tabs.entries()) stopped.has(i) ? tab.sleep(100) : tab.wait(100)
        deliver()
      }
    },
  }
}

describe("several tabs on screen", () => {
  test("say together what one says alone, and no more often", () => {
    const counts = [1, 3, 20].map((count) => {
      const browser = createBrowser(count)
      browser.all("visible")
      const first = browser.requests.length
      browser.wait(30 * MINUTE)
      const said = new Set(browser.requests.slice(-1)[0].bodies.map(({ view }) => view))
      assert.equal(said.size, count)
      return browser.requests.length - first
    })
    assert.deepEqual(counts, [10, 10, 10])
  })

  test("agree about the deadline", () => {
    let left = 20 * MINUTE
    const browser = createBrowser(3, () => ({ type: "answer", answer: answer({ expiresInMs: (left -= 1_000) }) }))
    browser.all("visible")
    browser.wait(10 * MINUTE)
    const [one, ...rest] = browser.tabs.map((tab) => tab.look().expiresInMs)
    assert.deepEqual(rest, [one, one])
  })

  test("go on when the one that spoke is stopped, and no tab's time is lost", () => {
    const browser = createBrowser(3)
    browser.all("visible")
    browser.wait(4 * MINUTE)
    const { from, at } = browser.requests.slice(-1)[0]
    browser.stop(from)
    browser.wait(4 * MINUTE)
    const next = browser.requests.slice(-1)[0]
    assert.notEqual(next.from, from)
    assert.ok(next.at - at <= 3 * MINUTE + 2 * SECOND, String(next.at - at))
    assert.equal(next.bodies.length, 2)
    browser.go(from)
    browser.wait(MINUTE)
    assert.ok(browser.tabs[from].look().visibleMs < 6 * MINUTE, "what a stopped tab slept is nobody's time")
  })

  test("keep each its own ramp: a new one is never more than its next step behind", () => {
    const ramp = [5, 15, 30, 60].map((mark) => mark * SECOND)
    const next = (/** @type {number} */ seen) => (ramp.find((mark) => mark > seen) ?? seen + 3 * MINUTE) - seen
    const browser = createBrowser(2, ({ bodies }) => ({ type: "answer", answer: answer({ nextBeatMs: next(bodies.at(-1).visibleMs) }) }))
    browser.tabs[0].on("visible")
    browser.deliver()
    browser.wait(10 * MINUTE - 20 * SECOND)
    browser.tabs[1].on("visible")
    browser.deliver()
    const from = browser.tabs[1].now
    browser.wait(2 * MINUTE)
    const told = browser.requests.flatMap(({ at, bodies }) => bodies.filter(({ view }) => view === "view-1").map(() => at - from))
    for (const mark of ramp) assert.ok(told.some((at) => at > mark / 3 && at <= mark + 2 * SECOND), `${mark}: ${told}`)
  })

  test("wait together: while the server is away there is one stream of attempts, and one when it is back", () => {
    let away = false
    const browser = createBrowser(20, () => (away ? { ...dead, status: 503, random: 1 } : { type: "answer", answer: answer() }))
    browser.all("visible")
    browser.wait(MINUTE)
    away = true
    const first = browser.requests.length
    browser.wait(20 * MINUTE)
    const attempts = browser.requests.length - first
    assert.ok(attempts < 30, attempts + " attempts of 20 tabs in 20 minutes")
    away = false
    browser.wait(3 * MINUTE)
    assert.ok(browser.requests.length - first - attempts <= 2)
    assert.deepEqual(browser.tabs.map((tab) => tab.look().failures), Array(20).fill(0))
  })
})

describe("what one tab knows", () => {
  test("how long the server wants nobody to ask holds in all, whatever they are asked to do", () => {
    const refused = { ...dead, status: 429, retryAfterMs: 30 * SECOND, random: 0 }
    let outcome = /** @type {any} */ ({ type: "answer", answer: answer() })
    const browser = createBrowser(3, () => outcome)
    browser.all("visible")
    outcome = refused
    browser.tabs[0].on("beat")
    browser.deliver()
    browser.requests.length = 0
    for (const type of ["hidden", "visible", "online", "beat"]) browser.all(type)
    browser.wait(29 * SECOND)
    assert.deepEqual(browser.requests, [])
  })

  test("input in a tab that was left is evidence for the one that came", () => {
    const browser = createBrowser(2)
    const [one, two] = browser.tabs
    one.on("visible")
    browser.wait(MINUTE)
    one.on("input")
    browser.wait(SECOND)
    one.on("hidden")
    browser.deliver()
    two.on("visible")
    browser.deliver()
    assert.equal(browser.requests.at(-1)?.bodies.at(-1).idleMs, SECOND)
  })

  test("a warning asks once for all, shows in all, and goes everywhere when one person stays in one of them", () => {
    let warnInMs = 0
    const browser = createBrowser(20, ({ bodies }) => {
      if (bodies.at(-1).kind === "extend") warnInMs = 18 * MINUTE
      return { type: "answer", answer: answer({ expiresInMs: warnInMs + 2 * MINUTE, warnInMs, nextBeatMs: 60 * MINUTE }) }
    })
    browser.tabs[0].on("visible")
    for (const tab of browser.tabs.slice(1)) tab.on("visible").on("hidden")
    warnInMs = 10 * SECOND
    browser.deliver()
    browser.requests.length = 0
    browser.wait(5 * SECOND)
    warnInMs = 0
    browser.wait(12 * SECOND)
    assert.equal(browser.requests.length, 1)
    assert.deepEqual(browser.tabs.map(({ state }) => state.isWarned), Array(20).fill(true))
    browser.tabs[0].on("stay")
    browser.deliver()
    assert.deepEqual(browser.tabs.map(({ state }) => state.isWarned), Array(20).fill(false))
  })

  test("an end found by one is everybody's, and nobody else asks", () => {
    let isOver = false
    const browser = createBrowser(20, () => (isOver ? over : { type: "answer", answer: answer() }))
    browser.all("visible")
    browser.requests.length = 0
    isOver = true
    browser.tabs[7].on("check")
    browser.deliver()
    assert.deepEqual(browser.tabs.map((tab) => tab.look().state), Array(20).fill("ended"))
    browser.wait(60 * MINUTE)
    assert.deepEqual(browser.requests.map(({ from }) => from), [7])
  })

  test("an answer that waited at a frozen tab is as old as it is, and never replaces a newer one", () => {
    const page = createPage({ lag: SECOND }).on("visible").answer()
    page.wait(MINUTE).on({ type: "heard", answer: answer({ expiresInMs: 5 * MINUTE }), ageMs: 2 * MINUTE, views: [] })
    assert.equal(page.look().expiresInMs, 19 * MINUTE)
    page.on({ type: "heard", answer: answer({ expiresInMs: 20 * MINUTE }), ageMs: 30 * SECOND, views: [] })
    assert.equal(page.look().expiresInMs, 19.5 * MINUTE)
  })

  test("of two deadlines the later one holds: a stream may be behind, a session is not shortened", () => {
    const page = createPage({ lag: SECOND }).on("visible").answer().wait(MINUTE)
    page.on({ type: "heard", answer: answer({ expiresInMs: 18 * MINUTE }), ageMs: 0, views: [] })
    assert.equal(page.look().expiresInMs, 19 * MINUTE)
  })

  test("what a tab of another version says, and this one does not know, harms nobody", () => {
    const page = createPage().on("visible").answer().clear().on({ type: "sneezed", ageMs: 0 })
    assert.deepEqual(page.all("send", "ended", "error"), [])
  })

  test("while the warning shows, input elsewhere is no evidence either", () => {
    const page = createPage({ lag: SECOND }).on("visible").answer({ expiresInMs: MINUTE, warnInMs: 0 })
    page.on({ type: "evidence", ageMs: 0 }).clear().on("check").on("beat")
    page.answer({ expiresInMs: MINUTE, warnInMs: 0 })
    assert.deepEqual(page.sent().map(({ idleMs }) => idleMs), [undefined, undefined])
  })
})

describe("a page that changes without loading", () => {
  test("is left with last words that go with the next message, and begins anew", () => {
    const page = createPage().on("visible").answer({ nextBeatMs: 60_000 }).wait(20_000).clear().on({ type: "navigated", view: "view-2" })
    const [kept] = page.all("keep")
    assert.deepEqual([kept.body.kind, kept.body.view, kept.body.visibleMs, kept.body.lifecycle], ["leave", "view-1", 20_000, "terminated"])
    const [beat] = page.sent()
    assert.deepEqual([beat.kind, beat.view, beat.seq, beat.visibleMs], ["beat", "view-2", 0, 0])
    assert.equal(page.look().state, "active")
  })

  test("waits for the answer under way, and keeps its person's activity apart", () => {
    const page = createPage().on("visible").wait(1_000).on("input").clear().on({ type: "navigated", view: "view-2" })
    assert.deepEqual(page.kinds(), [])
    page.wait(3_000).on("input").answer()
    const [beat] = page.sent()
    assert.deepEqual([beat.view, beat.activeMs, beat.visibleMs], ["view-2", 3_000, 3_000])
  })
})

describe("an end that may be another session's", () => {
  const signedInAgain = () => createPage({ lag: SECOND }).on("visible").answer().wait(MINUTE).on("check").answer().clear()

  test("is asked about, if somebody was heard alive after it was asked for", () => {
    const page = signedInAgain().wait(SECOND).on({ ...over, ageMs: 5 * SECOND, isOld: true })
    assert.deepEqual([page.kinds(), page.all("ended")], [["check"], []])
    page.answer()
    assert.equal(page.look().state, "active")
  })

  test("is believed, if nobody was", () => {
    const page = signedInAgain().wait(MINUTE).on({ ...over, ageMs: SECOND, isOld: true })
    assert.deepEqual(page.all("ended").map(({ isOld }) => isOld), [true])
  })

  test("the answer to a message is no different: one that another tab overtook is asked again", () => {
    const page = signedInAgain().on("check").wait(8 * SECOND)
    page.on({ type: "heard", answer: answer(), ageMs: 0, views: [] }).clear().hear({ ...over, ageMs: 8 * SECOND })
    assert.deepEqual([page.kinds(), page.all("ended")], [["check"], []])
    page.hear({ ...over, ageMs: 0 })
    assert.equal(page.all("ended").length, 1)
  })

  test("what was asked before the back/forward cache says nothing about the page that came back", () => {
    const page = signedInAgain().on("check")
    const { inFlight } = page.state
    page.on("pagehide").on({ type: "restored", view: "view-2", visible: true }).answer().clear()
    page.on({ ...over, body: inFlight, ageMs: MINUTE })
    assert.deepEqual([page.kinds(), page.all("ended")], [["check"], []])
  })
})

describe("in a crowd", () => {
  test("hidden tabs that wake from sleep together let one ask for all", () => {
    const browser = createBrowser(20)
    browser.all("visible")
    browser.all("hidden")
    browser.wait(MINUTE)
    browser.requests.length = 0
    for (const tab of browser.tabs) tab.sleep(60 * MINUTE)
    browser.wait(10 * SECOND)
    assert.ok(browser.requests.length <= 2, browser.requests.length + " requests")
  })

  test("a dismissal of an old warning hides no new one", () => {
    const page = createPage({ lag: SECOND }).on("visible").answer({ nextBeatMs: 60 * MINUTE }).on("dismiss").wait(18 * MINUTE)
    page.answer({ expiresInMs: 2 * MINUTE, warnInMs: 0 })
    assert.equal(page.all("warn").length, 1)
  })

  test("a tab nobody has seen listens, and does nothing about it", () => {
    const page = createPage({ lag: SECOND }).on({ type: "heard", answer: answer(), ageMs: 0, views: [] })
    assert.deepEqual(page.all("refreshed", "send"), [])
    assert.equal(page.look().state, "active")
  })
})

describe("patience", () => {
  test("a server that lets a session live on with nothing left is asked less and less", () => {
    const page = createPage().replies({ type: "answer", answer: answer({ expiresInMs: 0, warnInMs: 0 }) }).on("visible").wait(MINUTE)
    assert.ok(page.sent().length < 12, String(page.sent().length))
  })

  test("our own ends before the session does; a person's choice does not wait for it at all", () => {
    const page = createPage().on("visible").answer({ expiresInMs: 2 * MINUTE, warnInMs: MINUTE }).on("check")
    page.hear({ ...dead, status: 403, patienceMs: 300 * SECOND }).clear()
    page.on("stay")
    assert.deepEqual(page.kinds(), ["extend"])
    page.hear({ ...dead, status: 403, patienceMs: 300 * SECOND }).clear().wait(MINUTE)
    assert.deepEqual(page.kinds(), ["extend"])
  })

  test("pages that fly by are told once a second, and those nobody was told of leave nothing", () => {
    const page = createPage().replies({ type: "answer", answer: answer() }).on("visible").wait(5 * SECOND).clear()
    for (let i = 0; i < 40; i++) page.on({ type: "navigated", view: "fly-" + i, scrollPct: 0 }).wait(50)
    assert.ok(page.sent().length <= 4, String(page.sent().length))
    assert.ok(page.all("keep").filter(({ body }) => body).length <= 4)
  })

  test("a sign-out that nobody confirmed goes with the last words, and is asked again on return", () => {
    const page = createPage().on("visible").answer().on("end").hear(dead).on("pagehide")
    assert.equal(page.all("beacon").at(-1)?.path, "/end")
    page.clear().on({ type: "restored", view: "view-2", visible: true })
    assert.deepEqual(page.all("send").map(({ path }) => path), ["/end"])
  })
})
