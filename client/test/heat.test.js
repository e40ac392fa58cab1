import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { createMeter } from "../src/heat.js"
import { initial, look, step } from "../src/machine.js"

/** @typedef {ReturnType<typeof createMeter>} Meter */

const WINDOW = 20_000

/** What a meter tells, as numbers. @param {Meter} meter */
function read(meter) {
  const { heat = "", bands = "" } = meter.tell() ?? {}
  const runs = bands.split(".").map((run) => ({ state: run[0], ms: parseInt(run.slice(1), 36) }))
  const of = (/** @type {string} */ states) => runs.reduce((sum, { state, ms }) => sum + (states.includes(state) ? ms : 0), 0)
  const seconds = heat.split(".").map((number) => parseInt(number, 36))
  return { heat: seconds, sum: seconds.reduce((one, other) => one + other, 0), bands, runs, of }
}

/** A meter of one view that was never away: visible and active milliseconds, and since when nothing was touched. */
function measured() {
  const meter = createMeter()
  return { meter, pass: (/** @type {number} */ visibleMs, activeMs = 0, idleMs = 0) => meter.pass({ view: "v", visibleMs, activeMs }, idleMs, visibleMs) }
}

describe("heat", () => {
  test("is of the parts in view until something else is", () => {
    const { meter, pass } = measured()
    meter.place(0, 0.1)
    pass(4_000)
    meter.place(0.5, 0.55)
    pass(9_000)
    meter.place(0.95, 1)
    pass(10_000)
    assert.deepEqual(read(meter).heat, [2, 2, ...Array(8).fill(0), 5, ...Array(8).fill(0), 1])
  })

  test("of a page that is all in view, or has no height yet, is shared by all its parts", () => {
    for (const [top, bottom] of [[0, 1], [0, 1.2], [NaN, NaN], [0, Infinity]]) {
      const { meter, pass } = measured()
      meter.place(top, bottom)
      pass(20_000)
      assert.deepEqual(read(meter).heat, Array(20).fill(1), `${top} to ${bottom}`)
    }
  })

  test("a part that is in view by half counts as the others, and beyond the end there is none", () => {
    for (const [top, bottom, from, to] of [[0.975, 1.4, 19, 20], [0.12, 0.13, 2, 3], [1.5, 2, 19, 20], [0.12, 0.16, 2, 4]]) {
      const { meter, pass } = measured()
      meter.place(top, bottom)
      pass(4_000)
      assert.deepEqual(read(meter).heat, Array.from({ length: 20 }, (_, n) => (n >= from && n < to ? 4 / (to - from) : 0)), `${top} to ${bottom}`)
    }
  })

  test("of a view that nobody has seen is not told", () => {
    const { meter, pass } = measured()
    assert.equal(meter.tell(), undefined)
    pass(0)
    assert.equal(meter.tell(), undefined)
  })

  test("begins anew with another view", () => {
    const { meter, pass } = measured()
    pass(50_000, 9_000)
    meter.pass({ view: "w", visibleMs: 3_000, activeMs: 0 }, 0, 60_000)
    assert.equal(read(meter).sum, 3)
    assert.equal(read(meter).bands, "i2bc")
  })
})

describe("bands", () => {
  test("are active between two inputs, idle after the last, hidden where no time was visible", () => {
    const meter = createMeter()
    const pass = (/** @type {number} */ visibleMs, /** @type {number} */ activeMs, /** @type {number} */ idleMs, /** @type {number} */ now) =>
      meter.pass({ view: "v", visibleMs, activeMs }, idleMs, now)
    pass(5_000, 4_000, 1_000, 105_000)
    pass(6_000, 4_000, 2_000, 106_000)
    pass(6_000, 4_000, 62_000, 166_000)
    pass(9_000, 8_000, 500, 169_000)
    // Of the last 4 s of activity 1.5 were before the page was hidden.
    const told = read(meter).runs.map(({ state, ms }) => `${state} ${ms}`)
    assert.deepEqual(told, ["a 4000", "i 500", "a 1500", "h 60000", "a 2500", "i 500"])
  })

  test("begin when the view is first seen, however long it was there before", () => {
    const meter = createMeter()
    meter.pass({ view: "v", visibleMs: 0, activeMs: 0 }, 0, 1_000)
    meter.pass({ view: "v", visibleMs: 0, activeMs: 0 }, 0, 900_000)
    meter.pass({ view: "v", visibleMs: 2_000, activeMs: 0 }, 0, 902_000)
    assert.equal(read(meter).bands, "i1jk")
  })

  test("are 64 at most: the shortest joins the one before it, and none of the time is lost", () => {
    const meter = createMeter()
    let visibleMs = 0
    let now = 0
    for (let n = 0; n < 100; n++) {
      meter.pass({ view: "v", visibleMs: (visibleMs += 3_000 + n), activeMs: 0 }, Infinity, (now += 3_000 + n))
      meter.pass({ view: "v", visibleMs, activeMs: 0 }, Infinity, (now += n === 50 ? 1_001 : 5_000))
    }
    const { runs, of } = read(meter)
    assert.ok(runs.length > 60 && runs.length <= 64, `${runs.length}`)
    assert.equal(of("aih"), now)
    assert.ok(runs.every(({ state }, n) => state !== runs[n - 1]?.state))
    assert.ok(runs.every(({ ms }) => ms >= 3_000))
  })
})

describe("of a machine that lives through anything", () => {
  let seed = 1
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
  const pick = (/** @type {any[]} */ list) => list[Math.floor(random() * list.length)]

  for (let round = 0; round < 200; round++) {
    test(`heat and bands add up to its totals, ${round}`, () => {
      const meter = createMeter()
      let state = initial({ view: "v0", activityWindow: WINDOW })
      let now = 1_000
      let seenAt = 0
      let view = "v0"
      const measure = () => {
        const said = look(state, now)
        meter.pass(said, said.idleMs ?? Infinity, now)
        if (said.view !== view || !said.visibleMs) seenAt = now - said.visibleMs
        view = said.view
        const { sum, of, runs } = read(meter)
        if (!said.visibleMs) return
        assert.equal(sum, Math.floor(said.visibleMs / 1_000))
        const hidden = of("h")
        assert.ok(Math.abs(of("aih") - (now - seenAt)) <= 1_001, `${of("aih")} of ${now - seenAt}`)
        if (runs.length === 64) return
        assert.equal(of("a"), said.activeMs)
        assert.equal(of("ai"), said.visibleMs)
        assert.equal(of("aih"), said.visibleMs + hidden)
      }
      for (let n = 0; n < 80; n++) {
        now += pick([0, 7, 400, 3_000, 4_900, 4_900, 30_000 * random()])
        const top = random()
        const event = pick([
          ...Array(6).fill({ type: "timer" }),
          ...Array(6).fill({ type: "input", ageMs: 0 }),
          { type: "input", ageMs: 300 },
          { type: "visible", view: `v${n}` },
          { type: "visible", view: `v${n}` },
          { type: "hidden" },
          { type: "navigated", view: `v${n}`, scrollPct: 0 },
        ])
        if (event.type === "navigated") measure()
        ;[state] = step(state, event, now)
        measure()
        meter.place(top, top + random())
      }
    })
  }
})
