import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { LATCH } from "../src/machine.js"
import { SLACK, TICK } from "../src/state.js"
import { LONGEST } from "../src/talk.js"
import { MINUTE, answer, createPage, dead, living, ok, over } from "./page.js"

describe("beats", () => {
  test("the first goes at once when the page is visible", () => {
    const [beat] = createPage().on("visible").sent()
    assert.deepEqual(beat, { kind: "beat", seq: 0, view: "view-1", visibleMs: 0, activeMs: 0, idleMs: undefined, lifecycle: "active" })
  })

  test("a page nobody saw says nothing, whatever happens to it", () => {
    const page = createPage().on("hidden").on("online").on("check").on("beat").on("stay").on("end").wait(60 * MINUTE).on("pagehide")
    assert.deepEqual(page.kinds(), [])
  })

  test("the next goes after nextBeatMs of visible time, counted from the answer", () => {
    const page = createPage().on("visible").wait(700).answer({ nextBeatMs: 5_000 }).clear()
    assert.deepEqual(page.wait(4_999).kinds(), [])
    assert.deepEqual(page.wait(1).sent().map(({ visibleMs }) => visibleMs), [5_700])
  })

  test("hidden time brings no beat nearer", () => {
    const page = living({ nextBeatMs: 60_000 }).wait(40_000).on("hidden").clear().wait(10 * MINUTE)
    assert.deepEqual(page.kinds(), [])
  })

  test("a shorter interval of the page wins, a longer one does not", () => {
    for (const [interval, expected] of [[30_000, 30_000], [600_000, 180_000]]) {
      const page = createPage({ interval }).on("visible").answer().clear()
      assert.deepEqual(page.wait(expected - 1).kinds(), [])
      assert.deepEqual(page.wait(1).kinds(), ["beat"])
    }
  })

  test("never two at a time; what is wanted meanwhile goes right after, the weightiest first", () => {
    const page = createPage().on("visible").on("check").on("stay").on("beat").wait(5 * MINUTE)
    assert.deepEqual(page.kinds(), ["beat"])
    page.answer()
    assert.deepEqual(page.kinds(), ["beat", "extend"])
  })

  test("coming back beats at once, and coming back is no input", () => {
    const page = living().wait(1_000).on("input").wait(1_000).on("hidden").clear().wait(5 * MINUTE).on("visible")
    const [beat] = page.sent()
    assert.equal(beat.kind, "beat")
    assert.equal(beat.idleMs, 5 * MINUTE + 1_000)
  })

  test("every message of a view has the next number", () => {
    const page = createPage().replies(ok()).on("visible").wait(3 * MINUTE).on("hidden").on("visible").on("check")
    const numbers = page.all("send", "beacon").map(({ body }) => body.seq)
    assert.deepEqual(numbers, [0, 1, 2, 3, 4])
  })

  test("asked from a hidden page, a beat is only a check", () => {
    assert.deepEqual(living().on("hidden").clear().on("beat").kinds(), ["check"])
  })
})

describe("totals", () => {
  test("sleep counts nothing", () => {
    const page = living().wait(20_000).sleep(8 * 60 * MINUTE).on("timer")
    const { visibleMs } = page.look()
    assert.ok(visibleMs <= 20_000 && visibleMs >= 20_000 - TICK, String(visibleMs))
  })

  test("a timer that is merely late is not sleep", () => {
    assert.equal(living().sleep(TICK + SLACK).on("timer").look().visibleMs, TICK + SLACK)
  })

  test("a look counts like an event, and changes nothing", () => {
    const page = living().sleep(7_000)
    assert.equal(page.look().visibleMs, 7_000)
    assert.equal(page.state.visibleMs, 0)
  })

  test("a clock that runs back is taken for one that stands", () => {
    const page = living().wait(10_000).on("timer").sleep(-5_000).on("timer")
    assert.equal(page.look().visibleMs, 10_000)
  })
})

describe("input that is told late", () => {
  test("is as old as it is: for the deadline, and for active time", () => {
    const page = living().wait(1_000).on("input").wait(9_000).on({ type: "input", ageMs: 6_000 }).clear().on("beat")
    const [beat] = page.sent()
    assert.deepEqual([beat.idleMs, beat.activeMs, beat.visibleMs], [6_000, 3_000, 10_000])
  })

  test("before sleep counts nothing of the sleep", () => {
    const page = living().wait(1_000).on("input").wait(1_000).sleep(60 * MINUTE).on({ type: "input", ageMs: 60 * MINUTE })
    assert.equal(page.look().idleMs, 60 * MINUTE)
    assert.ok(page.look().activeMs <= 1_000)
  })
})

describe("leaving", () => {
  test("hidden and pagehide in a row send one message", () => {
    const page = living().wait(3_000).on("pagehide").on("hidden")
    assert.deepEqual(page.all("beacon").map(({ body }) => [body.kind, body.lifecycle, body.visibleMs]), [["leave", "terminated", 3_000]])
    const other = living().wait(3_000).on("hidden").on("pagehide")
    assert.deepEqual(other.all("beacon").map(({ body }) => body.lifecycle), ["hidden"])
  })

  test("stopping says the last words, then nothing any more", () => {
    const page = living().wait(3_000).on("stop").on("visible").on("check").wait(60 * MINUTE)
    assert.deepEqual(page.kinds(), ["leave"])
  })
})

describe("the warning", () => {
  test("shows when it is due and there is nothing untold, after the server was asked once more", () => {
    const page = living({ nextBeatMs: 60 * MINUTE }).wait(18 * MINUTE)
    assert.deepEqual(page.kinds(), ["check"])
    assert.deepEqual(page.all("warn"), [])
    page.answer({ expiresInMs: 2 * MINUTE, warnInMs: 0 })
    assert.equal(page.all("warn").length, 1)
    assert.equal(page.all("expiring").length, 1)
    assert.equal(page.look().state, "expiring")
  })

  test("input not yet told goes first, and the warning never shows if the deadline moved", () => {
    const page = living({ nextBeatMs: 60 * MINUTE }).wait(17 * MINUTE).on("input").wait(MINUTE)
    assert.deepEqual(page.sent().map(({ kind, idleMs }) => [kind, idleMs]), [["beat", MINUTE]])
    page.answer({ expiresInMs: 19 * MINUTE, warnInMs: 17 * MINUTE, nextBeatMs: 60 * MINUTE }).wait(5 * MINUTE)
    assert.deepEqual(page.all("warn"), [])
  })

  test("shows although somebody types, if telling it moved nothing", () => {
    const page = living({ nextBeatMs: 60 * MINUTE }).wait(17 * MINUTE).on("input").wait(MINUTE).on("input")
    page.answer({ expiresInMs: 2 * MINUTE, warnInMs: 0, nextBeatMs: 60 * MINUTE })
    assert.equal(page.all("warn").length, 1)
    assert.deepEqual(page.kinds(), ["beat"])
  })

  test("input near the deadline beats at once where there is no warning time", () => {
    const page = living({ expiresInMs: MINUTE, warnInMs: MINUTE, nextBeatMs: 60 * MINUTE }).wait(MINUTE - LATCH + 1).clear()
    assert.deepEqual(page.on("input").kinds(), ["beat"])
  })

  /** @param {object} [changes] */
  const warned = (changes) => living({ expiresInMs: 2 * MINUTE, warnInMs: 0, nextBeatMs: 60 * MINUTE, ...changes })

  test("is neither hidden nor outwitted by ambient input", () => {
    const page = warned().wait(10_000).on("input").wait(1_000).on("input")
    assert.deepEqual(page.all("unwarn", "send"), [])
    page.on("hidden").on("visible")
    assert.equal(page.sent()[0].idleMs, undefined)
  })

  test("staying sends an extend; the warning goes when the deadline moved", () => {
    const page = warned().on("stay")
    assert.deepEqual(page.kinds(), ["extend"])
    assert.equal(page.all("unwarn").length, 0)
    page.answer()
    assert.equal(page.all("unwarn").length, 1)
    assert.equal(page.all("extended").length, 1)
  })

  test("an extend that had to wait says how long ago it was chosen", () => {
    const page = warned().on("stay").wait(1_000).hear({ ...dead, retryAfterMs: 30_000 }).wait(30_000)
    const [, again] = page.sent()
    assert.deepEqual([again.kind, again.ageMs, again.idleMs], ["extend", 31_000, undefined])
  })

  test("staying where nothing moves closes it instead of trapping anybody", () => {
    const page = warned().on("stay").answer({ expiresInMs: 2 * MINUTE, warnInMs: 0 }).clear().wait(30_000)
    assert.deepEqual(page.all("warn"), [])
  })

  test("goes by itself when another tab extended", () => {
    const page = warned().wait(20_000)
    assert.deepEqual(page.kinds(), ["check"])
    page.answer()
    assert.equal(page.all("unwarn").length, 1)
    assert.equal(page.all("extended").length, 1)
  })

  test("dismissed, it stays away until the deadline has moved", () => {
    const page = warned({ canExtend: false }).on("dismiss").clear().wait(30_000).on("hidden").on("visible")
    page.answer({ expiresInMs: MINUTE, warnInMs: 0, canExtend: false })
    assert.deepEqual(page.all("warn"), [])
    page.wait(1_000).on("check").answer({ expiresInMs: 20 * MINUTE, warnInMs: 15 * MINUTE }).wait(15 * MINUTE)
    page.answer({ expiresInMs: 5 * MINUTE, warnInMs: 0 })
    assert.equal(page.all("warn").length, 1)
  })

  test("with the network gone it shows from what is known", () => {
    const page = living({ nextBeatMs: 60 * MINUTE }).replies(dead).wait(18 * MINUTE + 1_000)
    assert.equal(page.all("warn").length, 1)
    assert.equal(page.look().failures, 1)
  })

  test("after sleep it goes, and the server is asked before it shows again", () => {
    const page = warned().sleep(MINUTE).on("timer")
    assert.deepEqual(page.all("unwarn", "warn", "send").map(({ type }) => type), ["unwarn", "send"])
    page.answer({ expiresInMs: MINUTE, warnInMs: 0 })
    assert.equal(page.all("warn").length, 1)
  })

  test("reaches a hidden page, too, after one question: its title can call its person back", () => {
    const page = living({ nextBeatMs: 60 * MINUTE }).wait(MINUTE).on("hidden").clear().wait(17 * MINUTE)
    assert.deepEqual(page.kinds(), ["check"])
    page.answer({ expiresInMs: 2 * MINUTE, warnInMs: 0 })
    assert.equal(page.all("warn").length, 1)
  })
})

describe("the end", () => {
  test("the deadline alone ends nothing: a check asks, also from a hidden page", () => {
    const page = living().on("hidden").clear().wait(20 * MINUTE)
    assert.deepEqual(page.kinds(), ["check"])
    assert.equal(page.look().state, "unknown")
    assert.deepEqual(page.all("ended"), [])
    page.hear(over)
    assert.deepEqual(page.all("ended").map(({ detail }) => detail), [{ reason: "idle" }])
  })

  test("after a 401 nothing is sent, shown or ended again", () => {
    const page = living().on("check").hear(over).clear()
    page.on("visible").on("stay").on("end").on("hidden").on("pagehide").on(over).wait(60 * MINUTE)
    assert.deepEqual(page.effects, [])
    assert.equal(page.look().state, "ended")
  })

  test("signing out carries the last totals and ends as signed out", () => {
    const page = living().wait(4_000).on("end")
    const [{ path, body }] = page.all("send")
    assert.deepEqual([path, body.kind, body.visibleMs], ["/end", "leave", 4_000])
    page.hear({ type: "answer", answer: { success: true, reason: "signed_out" } })
    assert.deepEqual(page.all("ended").map(({ detail }) => detail.reason), ["signed_out"])
  })

  test("signing out without network pretends nothing and tries again", () => {
    const page = living().on("end").hear(dead)
    assert.deepEqual(page.all("ended"), [])
    page.wait(LONGEST)
    assert.equal(page.all("send").at(-1)?.path, "/end")
  })
})

describe("trouble", () => {
  test("never ends a session, and says unknown when the deadline has passed unheard", () => {
    const page = living().replies({ ...dead, status: 503 }).wait(60 * MINUTE)
    assert.equal(page.look().state, "unknown")
    assert.deepEqual(page.all("ended"), [])
    assert.ok(page.sent().length > 5)
  })

  test("is met with growing patience, full jitter and a ceiling", () => {
    const page = living().on("check")
    const waits = []
    for (let i = 0; i < 9; i++) waits.push(page.hear(dead).all("error").at(-1)?.detail.retryInMs) && page.on("online")
    assert.deepEqual(waits, [2e3, 4e3, 8e3, 16e3, 32e3, 64e3, 12e4, 12e4, 12e4])
    assert.equal(page.hear({ ...dead, random: 0.5 }).all("error").at(-1)?.detail.retryInMs, 60_000)
  })

  test("Retry-After is the floor, also for someone impatient", () => {
    const page = living().on("check").hear({ ...dead, retryAfterMs: 30_000 }).clear()
    page.on("online").on("check").on("stay").on("hidden").on("visible").wait(29_999)
    assert.deepEqual(page.sent(), [])
    assert.deepEqual(page.wait(1).kinds().at(-1), "extend")
  })

  test("ends with the first answer, and the countdown goes on from that", () => {
    const page = living().on("check").hear(dead).wait(2_000).answer({ expiresInMs: 5 * MINUTE, warnInMs: 3 * MINUTE })
    assert.equal(page.look().failures, 0)
    assert.equal(page.look().expiresInMs, 5 * MINUTE)
  })

  test("the network's return is asked about at once", () => {
    assert.deepEqual(living().on("check").hear(dead).clear().on("online").kinds(), ["beat"])
  })
})

describe("the back/forward cache", () => {
  const back = { type: "restored", view: "view-2", visible: true }

  test("a restored page is a new view, and asks before it shows anything", () => {
    const page = living().wait(50_000).on("pagehide").clear().sleep(19 * MINUTE).on(back)
    const [beat] = page.sent()
    assert.deepEqual([beat.kind, beat.view, beat.seq, beat.visibleMs], ["beat", "view-2", 0, 0])
    assert.equal(page.look().state, "unknown")
    assert.deepEqual(page.all("warn"), [])
  })

  test("what the old view was still told is not the new one's", () => {
    const page = createPage().on("visible")
    const { inFlight } = page.state
    page.on("pagehide").on(back).on({ type: "answer", body: inFlight, answer: answer() })
    assert.equal(page.look().state, "unknown")
  })

  test("back after more than half an hour it is a new view with totals of its own; after less it is the same", () => {
    const page = living().wait(10_000).on("hidden").wait(30 * MINUTE).on("visible").answer()
    assert.equal(page.look().view, "view-1")
    page.on("hidden").wait(30 * MINUTE + 1).clear().on("visible")
    const [beat] = page.sent()
    assert.notEqual(beat.view, "view-1")
    assert.deepEqual([beat.seq, beat.visibleMs, beat.kind], [0, 0, "beat"])
  })

  test("restored after its session ended elsewhere, it ends", () => {
    const page = living().on("pagehide").clear().replies(over).on(back)
    assert.equal(page.all("ended").length, 1)
  })

  test("restored after its own end, it goes to the sign-in page again and sends nothing", () => {
    assert.deepEqual(living().on("check").hear(over).clear().on(back).effects, [{ type: "redirect" }])
  })
})
