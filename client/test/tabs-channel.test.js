import assert from "node:assert/strict"
import { afterEach, beforeEach, describe, test } from "node:test"
import { claim, joinTabs, randomId, tabId } from "../src/tabs.js"
import { createStorage, replaceGlobals, until } from "./browser.js"

describe("the channel between tabs", () => {
  /** @type {ReturnType<typeof joinTabs>[]} */
  let joined = []
  let name = ""
  beforeEach(() => void (name = "stillhere-" + randomId()))
  afterEach(() => joined.splice(0).forEach((tabs) => tabs.leave()))

  /** A tab that has a body to send along, or none. @param {any} [body] */
  const join = (body) => {
    /** @type {any[]} */
    const heard = []
    const tabs = joinTabs(name, (event) => {
      heard.push(event)
      if (event.type === "ride" && body) tabs.tell({ type: "body", body })
    })
    joined.push(tabs)
    return { ...tabs, heard }
  }

  test("takes along what the others have to say, and waits for nobody who was never there", async () => {
    const one = join()
    const from = performance.now()
    assert.deepEqual(await one.collect(), [])
    assert.ok(performance.now() - from < 100)
    for (const view of ["a", "b"]) join({ view })
    // Whoever has heard nobody yet does not wait; the first answer tells that there is company.
    /** @type {any[]} */
    let riders = []
    await until(async () => (riders = await one.collect()).length === 2, "both to ride along")
    assert.deepEqual(riders.map(({ view }) => view).sort(), ["a", "b"])
  })

  test("leaves out what comes too late, and says nothing to the machine of it", async () => {
    const [one, two] = [join(), join()]
    two.tell({ type: "dismiss" })
    await until(() => one.heard.length, "company")
    two.tell({ type: "body", body: { view: "late" } })
    two.tell({ type: "dismiss" })
    await until(() => one.heard.length === 2, "the next word")
    assert.deepEqual(one.heard.map(({ type }) => type), ["dismiss", "dismiss"])
    assert.deepEqual(await one.collect(), [])
  })

  test("tells how old a word is, the time on its way included", async () => {
    const [one, two] = [join(), join()]
    two.tell({ type: "heard", ageMs: 5_000 })
    two.tell({ type: "heard" })
    await until(() => one.heard.length === 2, "both")
    const [old, fresh] = one.heard.map(({ ageMs }) => ageMs)
    assert.ok(old >= 5_000 && old < 6_000 && fresh >= 0 && fresh < 1_000, `${old} ${fresh}`)
  })

  test("a wall clock that was set back makes no word come from the future", async () => {
    const one = join()
    const other = new BroadcastChannel(name)
    other.postMessage({ type: "heard", at: Date.now() + 3_600_000 })
    await until(() => one.heard.length, "the word")
    other.close()
    assert.equal(one.heard[0].ageMs, 0)
  })

  test("can be left, spoken into all the same, and joined again", async () => {
    const [one, two] = [join(), join()]
    one.leave()
    one.tell({ type: "dismiss" })
    one.enter()
    one.tell({ type: "ride" })
    await until(() => two.heard.length, "the word after that")
    assert.deepEqual(two.heard.map(({ type }) => type), ["ride"])
  })

  test("is none where the browser has none", async () => {
    const restore = replaceGlobals({ BroadcastChannel: undefined })
    try {
      const one = join()
      one.tell({ type: "dismiss" })
      assert.deepEqual(await one.collect(), [])
    } finally {
      restore()
    }
  })
})

describe("the notice of the end", () => {
  const { signal } = new AbortController()
  /** @type {() => void} */
  let restore = () => {}
  afterEach(() => restore())

  test("is not shown by a page that nobody sees", async () => {
    restore = replaceGlobals({ document: { hidden: true }, navigator: {} })
    assert.equal(await claim("end", signal), false)
  })

  test("is shown by each page that is seen where tabs can't agree", async () => {
    restore = replaceGlobals({ document: { hidden: false }, navigator: {} })
    assert.equal(await claim("end", signal), true)
  })
})

describe("the name of a tab", () => {
  /** @type {() => void} */
  let restore = () => {}
  afterEach(() => restore())
  /** @param {Record<string, string>} sessionStorage */
  const inTab = (sessionStorage) => {
    restore()
    restore = replaceGlobals({ sessionStorage })
  }

  test("is taken out of the storage while a page uses it, and put back for the next", () => {
    const storage = createStorage()
    inTab(storage)
    const name = tabId()
    assert.match(name, /^\d{3,30}$/)
    // A duplicated tab has a copy of the storage.
    inTab({ ...storage })
    assert.notEqual(tabId(), name)
    inTab(storage)
    assert.equal(tabId(name), name)
    assert.equal(tabId(), name)
    assert.notEqual(tabId(), name)
  })

  test("is new with every page where storage is forbidden", () => {
    const refuse = () => {
      throw new DOMException("no", "SecurityError")
    }
    inTab(new Proxy({}, { get: refuse, set: refuse, deleteProperty: refuse }))
    const names = [tabId(), tabId(), tabId("kept")]
    assert.equal(new Set(names).size, 3)
    assert.equal(names[2], "kept")
  })
})

test("a thousand ids are different, and of the alphabet that the wire takes", () => {
  const ids = Array.from({ length: 1_000 }, randomId)
  assert.equal(new Set(ids).size, 1_000)
  for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]{1,64}$/)
})
