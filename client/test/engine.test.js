import assert from "node:assert/strict"
import { after, afterEach, before, beforeEach, describe, test } from "node:test"
import { run } from "../src/engine.js"
import { LIVES, openPage, replaceGlobals, startProgram, until } from "./browser.js"

/** @type {Awaited<ReturnType<typeof startProgram>>} */
let program
/** @type {ReturnType<typeof openPage>} */
let page
/** @type {import("../src/types.js").Session | undefined} */
let session
/** @type {BroadcastChannel | undefined} */
let other
/** @type {any[]} what another tab hears */
let overheard

before(async () => void (program = await startProgram()))
after(() => program.stop())
beforeEach(() => {
  program.heard.length = 0
  program.reply = LIVES
  page = openPage()
  overheard = []
})
afterEach(() => {
  session?.stop()
  other?.close()
  session = other = undefined
  page.restore()
})

/** @param {import("../src/types.js").Options} [options] @param {Parameters<typeof run>[1]} [parts] */
const start = async (options, parts) => {
  const { length } = program.heard
  session = run({ endpoint: program.url, ...options }, parts)
  await until(() => program.heard.length > length && session?.state().state !== "unknown", "the first answer")
  return session
}

/** Another tab of this browser. */
const openOther = () => {
  other = new BroadcastChannel("stillhere" + program.url)
  other.onmessage = ({ data }) => void overheard.push(data)
  return other
}

describe("the engine", () => {
  test("goes on after the back/forward cache, whatever its person did before", async () => {
    await start()
    page.type()
    page.fire("pagehide", { persisted: true })
    page.show(false)
    page.show(true)
    page.fire("pageshow", { persisted: true })
    await until(() => program.heard.length === 2, "a beat of the restored page")
    assert.notEqual(program.heard[1].view, program.heard[0].view)
    assert.equal(program.heard[1].tab, program.heard[0].tab)
  })

  test("can be stopped and started again, whatever its person did before", async () => {
    const first = await start()
    page.type()
    first.stop()
    const second = await start()
    assert.notEqual(second, first)
    assert.equal(program.heard[1].tab, program.heard[0].tab)
  })

  test("speaks for itself where tabs can't tell each other anything", async () => {
    const restore = replaceGlobals({ BroadcastChannel: undefined })
    try {
      const { state } = await start()
      assert.equal(state().state, "active")
    } finally {
      restore()
    }
  })

  test("tells other tabs how long the server wants nobody to ask", async () => {
    await start()
    openOther()
    program.reply = { status: 429, headers: { "Retry-After": "7" }, detail: "later" }
    session?.beat()
    await until(() => overheard.some(({ type }) => type === "waits"), "the news")
    const { retryAfterMs, retryInMs, status } = overheard.find(({ type }) => type === "waits")
    assert.deepEqual([retryAfterMs, status], [7_000, 429])
    assert.ok(retryInMs >= 7_000)
  })

  test("saving beats half as often, never more often than asked, however near the deadline is", async () => {
    program.reply = { ...LIVES, nextBeatMs: 3_000, idleInMs: 60_000 }
    await start({ stretch: () => true })
    openOther()
    const heard = async () => {
      session?.beat()
      const { length } = overheard
      await until(() => overheard.slice(length).some(({ type }) => type === "heard"), "an answer")
      return overheard.filter(({ type }) => type === "heard").at(-1).answer.nextBeatMs
    }
    assert.equal(await heard(), 6_000)
    program.reply = { ...LIVES, nextBeatMs: 3_000, idleInMs: 10_000 }
    assert.equal(await heard(), 5_000)
    program.reply = { ...LIVES, nextBeatMs: 3_000, idleInMs: 2_000 }
    assert.equal(await heard(), 3_000)
  })
})
