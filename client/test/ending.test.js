import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { createEnding } from "../src/ending.js"
import { createStorage, replaceGlobals } from "./browser.js"

const OVER = { reason: "idle" }
const SNAPSHOT = /** @type {any} */ ({ canExtend: false })
const { signal } = new AbortController()

/** A page that keeps where it was sent, with time that the test lets pass. @param {import("node:test").TestContext} t @param {object} [given] */
function openPage(t, given) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] })
  /** @type {string[]} */
  const went = []
  /** @type {unknown[]} */
  const reported = []
  const location = { href: "https://a.example/page", replace: (/** @type {string} */ url) => went.push(url) }
  const globals = { location, sessionStorage: createStorage(), reportError: (/** @type {unknown} */ error) => reported.push(error), ...given }
  t.after(replaceGlobals(globals))
  const pass = async (/** @type {number} */ ms) => {
    for (let n = 0; n < 20; n++) await null
    t.mock.timers.tick(ms)
    for (let n = 0; n < 20; n++) await null
  }
  return { went, reported, pass }
}

describe("the ending", () => {
  test("asks the application to save drafts once when the warning becomes final, and once at the end", async (t) => {
    const { pass } = openPage(t)
    /** @type {unknown[]} */
    const asked = []
    const ending = createEnding("x", { saveDrafts: (why) => void asked.push(why) })
    ending.warn({ ...SNAPSHOT, canExtend: true })
    ending.warn(SNAPSHOT)
    ending.warn(SNAPSHOT)
    ending.depart(OVER, async () => true, signal)
    await pass(5_000)
    assert.deepEqual(asked, [SNAPSHOT, OVER])
  })

  test("waits three seconds for drafts, and no longer", async (t) => {
    const { went, pass } = openPage(t)
    createEnding("x", { notice: 500, saveDrafts: () => new Promise(() => {}) }).depart(OVER, async () => true, signal)
    await pass(2_900)
    assert.equal(went.length, 0)
    await pass(200)
    assert.equal(went.length, 1)
  })

  test("is not harmed by an application that fails to save", async (t) => {
    const { went, reported, pass } = openPage(t)
    const error = new Error("disk full")
    const saveDrafts = () => {
      throw error
    }
    createEnding("x", { notice: 500, saveDrafts }).depart(OVER, async () => true, signal)
    await pass(600)
    assert.equal(went.length, 1)
    assert.deepEqual(reported, [error])
  })

  test("shows for half a second at least", async (t) => {
    const { went, pass } = openPage(t)
    createEnding("x", { notice: 0 }).depart(OVER, async () => true, signal)
    await pass(450)
    assert.equal(went.length, 0)
    await pass(100)
    assert.deepEqual(went, ["https://a.example/?next=%2Fpage&reason=idle"])
  })

  test("leaves three times in a minute, and again when the minute is over", async (t) => {
    const { went, pass } = openPage(t)
    for (const count of [1, 2, 3, 3, 3]) {
      createEnding("x", { notice: 500 }).depart(OVER, async () => true, signal)
      await pass(1_000)
      assert.equal(went.length, count)
    }
    await pass(58_000)
    createEnding("x", { notice: 500 }).depart(OVER, async () => true, signal)
    await pass(1_000)
    assert.equal(went.length, 4)
  })

  test("leaves without storage, and with what others have stored there", async (t) => {
    const broken = new Proxy({}, { get: () => assert.fail("forbidden"), set: () => assert.fail("forbidden") })
    for (const sessionStorage of [broken, { x: "{" }, { x: "7" }]) {
      const { went, pass } = openPage(t, { sessionStorage })
      createEnding("x", { notice: 500 }).depart(OVER, async () => true, signal)
      await pass(600)
      assert.equal(went.length, 1)
      t.mock.timers.reset()
    }
  })
})
