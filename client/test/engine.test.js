import assert from "node:assert/strict"
import { after, afterEach, before, beforeEach, describe, test } from "node:test"
import { assemble } from "../src/assemble.js"
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
/** One for each test: what the last one's page still has to say is not of interest. */
let endpoint = ""

before(async () => void (program = await startProgram()))
after(() => program.stop())
beforeEach(() => {
  program.heard.length = 0
  program.reply = LIVES
  page = openPage()
  overheard = []
  endpoint = program.url + "/" + Math.random()
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
  session = run({ endpoint, ...options }, parts)
  await until(() => program.heard.length > length && session?.state().state !== "unknown", "the first answer")
  return session
}

/** The client as pages have it, without looks. @type {typeof start} */
const startAll = async (options) => {
  const { length } = program.heard
  session = assemble()({ endpoint, login: false, ...options })
  await until(() => program.heard.length > length && session?.state().state !== "unknown", "the first answer")
  return session
}
/** Says something that nobody answers. @param {import("../src/types.js").Session} session */
const failOnce = async (session) => {
  const { failures } = session.state()
  session.beat()
  await until(() => session.state().failures > failures, "a failure")
}
/** What waits to be sent. @returns {any[]} */
const waiting = () =>
  Object.entries(page.localStorage)
    .filter(([key]) => key.startsWith("stillhere" + endpoint))
    .map(([_, text]) => JSON.parse(text))
const away = { status: 503, detail: "away" }

/** Another tab of this browser. */
const openOther = () => {
  other = new BroadcastChannel("stillhere" + endpoint)
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

  test("sees at the next event that the path changed, where the browser does not tell", async () => {
    const { state, beat } = await start()
    const { view } = state()
    page.location.pathname = "/second"
    beat()
    await until(() => program.heard.at(-1).page === "/second", "the next view")
    assert.notEqual(program.heard.at(-1).view, view)
    assert.equal(program.heard.at(-1).view, state().view)
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

  test("says its own last", async () => {
    const session = await start()
    const tab = openOther()
    /** @type {any[]} */
    const others = [{ kind: "beat", view: "old", seq: 1, visibleMs: 900_000 }, { kind: "beat", view: "new", seq: 1, visibleMs: 0 }]
    tab.onmessage = ({ data }) => data.type === "ride" && others.forEach((body) => tab.postMessage({ type: "body", body }))
    const own = session.state().view
    await until(() => (session.beat(), program.heard.at(-1).beats), "a message for all")
    assert.deepEqual(program.heard.at(-1).beats.map((/** @type {any} */ { view }) => view), ["old", "new", own])
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

describe("words that nobody heard", () => {
  test("of views left behind while the server is away go first, each under its name and with its age", async () => {
    const session = await startAll()
    program.reply = away
    await failOnce(session)
    page.go("/second")
    const second = session.state().view
    await until(() => session.state().visibleMs > 1_000, "some reading")
    page.go("/third")
    await until(() => session.state().visibleMs > 50, "some reading")
    program.reply = LIVES
    program.heard.length = 0
    session.beat()
    await until(() => program.heard.at(-1)?.beats?.at(-1).page === "/third", "what was kept")
    const { beats } = program.heard.at(-1)
    const pages = new Set(beats.map((/** @type {any} */ { page }) => page))
    assert.deepEqual([...pages], ["/first", "/second", "/third"])
    const left = beats.find((/** @type {any} */ { view, lifecycle }) => view === second && lifecycle === "terminated")
    assert.equal(left.kind, "beat")
    assert.ok(left.visibleMs > 50 && left.ageMs > 50 && left.ageMs <= beats.at(-1).visibleMs + 100, JSON.stringify(beats))
    await until(() => session.state().failures === 0, "the answer")
    session.beat()
    await until(() => program.heard.at(-1).page === "/third", "a message without them")
  })

  test("are kept with those of other tabs that rode along", async () => {
    const session = await startAll()
    const tab = openOther()
    const body = { view: "other", seq: 3, visibleMs: 900_000 }
    tab.onmessage = ({ data }) => data.type === "ride" && tab.postMessage({ type: "body", body })
    await until(() => (session.beat(), program.heard.at(-1).beats), "a message for both")
    program.reply = away
    await failOnce(session)
    assert.deepEqual(waiting().map(({ body }) => body.view).sort(), [session.state().view, "other"].sort())
  })

  test("of a page closed without network go with the next page of this session, before its own", async () => {
    const first = await startAll()
    const { view } = first.state()
    await until(() => first.state().visibleMs > 50, "some reading")
    page.navigator.onLine = false
    page.show(false)
    first.stop()
    page.navigator.onLine = true
    page.show(true)
    program.heard.length = 0
    const second = await startAll()
    second.beat()
    await until(() => program.heard.length === 2, "what was kept")
    const [words, own] = program.heard[1].beats
    assert.deepEqual([program.heard[0].view, own.view], [second.state().view, second.state().view])
    assert.deepEqual([words.kind, words.view, words.lifecycle], ["beat", view, "hidden"])
    assert.ok(words.visibleMs > 50)
  })

  test("of a page that was left are kept although a beacon went, if its server was away before", async () => {
    const first = await startAll()
    program.reply = away
    await failOnce(first)
    page.fire("pagehide", { persisted: false })
    assert.equal((await page.beacons()).at(-1).beats.at(-1).lifecycle, "terminated")
    assert.equal(waiting().at(-1).body.lifecycle, "terminated")
  })

  test("of a page that was hidden are kept if they are refused, and only then", async () => {
    await startAll()
    page.show(false)
    await until(() => program.heard.at(-1).kind === "leave", "the last words")
    program.reply = away
    page.show(true)
    await until(() => program.heard.at(-1).kind === "beat", "a beat")
    await until(() => waiting().length === 1, "it to be kept")
    page.show(false)
    await until(() => waiting().length === 2, "the last words to be kept")
    assert.deepEqual(waiting().map(({ body }) => body.lifecycle), ["active", "hidden"])
    assert.deepEqual(await page.beacons(), [])
  })

  test("of a page that is heard are not kept", async () => {
    await startAll()
    page.go("/second")
    await until(() => waiting().length === 1, "the last words of the first view")
    await until(() => waiting().length === 0, "an empty queue")
    page.show(false)
    await until(() => program.heard.at(-1).kind === "leave", "the last words of the second")
    assert.deepEqual(waiting(), [])
  })

  test("that the server will never take are not said for ever", async () => {
    const session = await startAll()
    program.reply = away
    await failOnce(session)
    program.reply = { status: 422, detail: "no", field: "$.beats[0].page" }
    await failOnce(session)
    assert.deepEqual(waiting(), [])
  })

  test("end with the session", async () => {
    const session = await startAll()
    program.reply = away
    await failOnce(session)
    program.reply = { status: 401, reason: "idle" }
    session.check()
    await until(() => session.state().state === "ended", "the end")
    assert.deepEqual(waiting(), [])
  })
})
