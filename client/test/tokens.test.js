import assert from "node:assert/strict"
import { createServer } from "node:http"
import { after, afterEach, before, beforeEach, describe, test } from "node:test"
import { run } from "../src/engine.js"
import { dueInMs, keepTokens, retryInMs } from "../src/tokens.js"
import { LIVES, openPage, replaceGlobals, until } from "./browser.js"

const OVER = { status: 401, reason: "revoked", detail: "It was ended." }

/** Session routes and an API, over real HTTP. What a refresh is answered is told by the test, one after the other; else a good token. */
const program = {
  url: "",
  /** @type {string[]} paths, as they were asked for */
  asked: [],
  /** @type {{ authorization: string | undefined, body: string }[]} what came to the API */
  calls: [],
  /** @type {any[]} */
  refreshes: [],
  /** @type {any} */
  beat: LIVES,
  lifeMs: 60_000,
  minted: 0,
  /** @type {string[]} which tokens the API refuses */
  refused: [],
  /** @type {Promise<unknown> | undefined} answers wait for this */
  holds: undefined,
}
const server = createServer(async (request, response) => {
  let body = ""
  for await (const chunk of request) body += chunk
  const path = String(request.url)
  const { authorization } = request.headers
  program.asked.push(path)
  const say = ({ status = 200, headers = {}, raw = "", ...answer }) => response.writeHead(status, headers).end(raw || JSON.stringify(answer))
  if (path.startsWith("/api/")) {
    program.calls.push({ authorization, body })
    return void say({ status: program.refused.includes(String(authorization).slice(7)) ? 401 : 200, authorization, body })
  }
  if (!path.endsWith("/refresh")) return void say(path.endsWith("/end") ? { reason: "signed_out" } : program.beat)
  assert.deepEqual([request.method, body, request.headers["x-stillhere"]], ["POST", "", "1"])
  await program.holds
  const told = program.refreshes.shift()
  if (told === "lost") response.destroy()
  else say(told ?? { ...LIVES, accessToken: "token-" + ++program.minted, tokenType: "Bearer", accessTokenInMs: program.lifeMs })
})
/** @type {ReturnType<typeof openPage>} */
let page
/** @type {import("../src/types.js").Session} */
let session
/** @type {() => void} */
let restore
let endpoint = ""

before(async () => {
  await new Promise((done) => server.listen(0, "127.0.0.1", () => done(null)))
  program.url = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`
})
after(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(async () => {
  Object.assign(program, { asked: [], calls: [], refreshes: [], beat: LIVES, lifeMs: 60_000, minted: 0, refused: [], holds: undefined })
  page = openPage()
  Object.assign(page.document, { baseURI: program.url + "/first" })
  restore = replaceGlobals({ self: { origin: program.url } })
  endpoint = `${program.url}/session-${Math.random()}`
  session = run({ endpoint })
  await until(() => session.state().state === "active", "the first answer")
})
afterEach(() => {
  session.stop()
  restore()
  page.restore()
})

const refreshes = () => program.asked.filter((path) => path.endsWith("/refresh")).length
const beats = () => program.asked.filter((path) => path.endsWith("/beat")).length
const keep = (/** @type {object} */ options = {}) => {
  const tokens = keepTokens(session, { endpoint, ...options })
  /** @type {any[]} */
  const errors = []
  /** @type {any[]} */
  const news = []
  tokens.on("error", (error) => errors.push(error))
  tokens.on("refreshed", (told) => news.push(told))
  return { ...tokens, errors, news }
}
/** For what must not happen: as long as it would have taken, and then some. @param {number} ms */
const pass = (ms) => new Promise((done) => setTimeout(done, ms))

describe("the moment", () => {
  test("to replace a token is past the middle of its life, before its end, and never at once", () => {
    for (const random of [0, 0.5, 1]) {
      const due = dueInMs(300_000, random)
      assert.ok(due >= 180_000 && due <= 225_000, `${due}`)
      assert.equal(dueInMs(0, random), 1_000)
    }
    assert.notEqual(dueInMs(300_000, 0), dueInMs(300_000, 1))
  })

  test("to try again comes later with every failure, with jitter, and before the token ends", () => {
    assert.deepEqual([0, 1, 2].map((failures) => retryInMs({}, failures, 0, 1)), [2_000, 4_000, 8_000])
    assert.equal(retryInMs({}, 40, 0, 1), 60_000)
    assert.equal(retryInMs({ status: 503 }, 5, 0, 0), 1_000)
    assert.equal(retryInMs({ status: 500 }, 5, 20_000, 1), 10_000)
    assert.equal(retryInMs({}, 5, -1, 1), 60_000)
  })

  test("is the server's where it names one, and far away where asking again would only be refused again", () => {
    assert.equal(retryInMs({ status: 503, retryAfterMs: 90_000 }, 0, 10_000, 1), 90_000)
    assert.equal(retryInMs({ status: 429, retryAfterMs: 7_000 }, 0, 0, 0), 7_000)
    for (const status of [400, 403, 404, 422]) assert.equal(retryInMs({ status }, 0, 1_000, 0), 300_000)
  })
})

describe("whoever asks", () => {
  test("gets a token, the same as long as it lasts, and is told what is left of it but not the token", async () => {
    const tokens = keep()
    assert.equal(refreshes(), 0)
    assert.deepEqual([await tokens.accessToken(), await tokens.accessToken()], ["token-1", "token-1"])
    assert.equal(refreshes(), 1)
    const [{ accessTokenInMs, ...more }] = tokens.news
    assert.ok(accessTokenInMs > 55_000 && accessTokenInMs <= 60_000)
    assert.deepEqual(more, {})
  })

  test("at the same time shares one refresh", async () => {
    const tokens = keep()
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? tokens.accessToken() : tokens.refresh())))
    assert.deepEqual(new Set(all), new Set(["token-1"]))
    assert.equal(refreshes(), 1)
  })

  test("for a new one gets a new one", async () => {
    const tokens = keep()
    assert.equal(await tokens.accessToken(), "token-1")
    assert.equal(await tokens.refresh(), "token-2")
    assert.equal(await tokens.accessToken(), "token-2")
  })

  test("gets another one when the last has ended, also in a hidden page", async () => {
    program.lifeMs = 300
    const tokens = keep()
    await tokens.accessToken()
    page.show(false)
    await until(async () => (await tokens.accessToken()) === "token-2", "the next token")
  })

  test("hears nothing of an answer that was lost once, in whatever way", async () => {
    for (const trouble of ["lost", { status: 503 }, { status: 429, headers: { "Retry-After": "1" } }, { status: 200, raw: '{"accessToken": "tok' }, {}]) {
      const tokens = keep()
      program.refreshes = [trouble]
      assert.match(await tokens.accessToken(), /^token-/)
      assert.equal(tokens.errors.length, 1)
      assert.ok(!tokens.errors[0].message.includes("tok"), tokens.errors[0].message)
      tokens.stop()
    }
    assert.equal(session.state().state, "active")
  })

  test("is told when there is none to be had, and when it is tried again; nobody is signed out", async () => {
    const tokens = keep()
    program.refreshes = [{ status: 503, headers: { "Retry-After": "30" }, detail: "The store is away." }]
    const failed = /** @type {any} */ (await tokens.accessToken().catch((error) => error))
    assert.deepEqual([failed.message, failed.status, failed.retryInMs], ["The store is away.", 503, 30_000])
    // The server named a time, and that binds whoever asks.
    await assert.rejects(tokens.accessToken(), failed)
    await assert.rejects(tokens.refresh(), failed)
    assert.equal(refreshes(), 1)
    assert.deepEqual(tokens.errors, [failed])
    assert.equal(session.state().state, "active")
  })

  test("keeps a token that still lasts through any trouble", async () => {
    const tokens = keep()
    await tokens.accessToken()
    program.refreshes = [{ status: 404 }]
    await assert.rejects(tokens.refresh(), { status: 404 })
    assert.equal(await tokens.accessToken(), "token-1")
    assert.equal(refreshes(), 2)
  })

  test("need not wait for our own patience once the network is back", async () => {
    const tokens = keep()
    program.refreshes = [{ status: 404 }]
    await assert.rejects(tokens.accessToken(), { status: 404 })
    await assert.rejects(tokens.accessToken(), { status: 404 })
    page.fire("online")
    assert.equal(await tokens.accessToken(), "token-1")
  })
})

describe("unasked", () => {
  const SHORT = { activityWindow: 600 }

  test("a token is fetched, and replaced in time, while somebody is active", async () => {
    program.lifeMs = 1_500
    const tokens = keep()
    page.type()
    await until(() => tokens.news.length === 3, "two more tokens")
    assert.equal(program.minted, 3)
  })

  test("nothing is asked for while nobody has touched the page, and at once when somebody does", async () => {
    program.lifeMs = 1_200
    const tokens = keep(SHORT)
    await tokens.accessToken()
    await pass(2_500)
    assert.equal(refreshes(), 1)
    page.type()
    await until(() => refreshes() === 2, "a refresh for who is back")
    await pass(2_500)
    assert.ok(refreshes() <= 3, "as long as the activity window, and no longer")
  })

  test("nothing is asked for while the page is hidden; shown again, what is due is done", async () => {
    program.lifeMs = 1_200
    const tokens = keep()
    page.type()
    await until(() => tokens.news.length === 1, "a token")
    page.show(false)
    await pass(2_500)
    assert.equal(refreshes(), 1)
    page.show(true)
    await until(() => refreshes() === 2, "a refresh on return")
  })

  test("trouble is tried again until it is over", async () => {
    program.refreshes = ["lost", { status: 500 }]
    const tokens = keep()
    page.type()
    await until(() => tokens.news.length === 1, "a token after all")
    assert.equal(tokens.errors.length, 2)
    assert.equal(session.state().state, "active")
  })
})

describe("a refused refresh", () => {
  test("ends nothing by itself: the session is asked, and once more for a token", async () => {
    const tokens = keep()
    program.refreshes = [{ status: 401, reason: "no_session" }]
    const asked = beats()
    assert.equal(await tokens.accessToken(), "token-1")
    assert.equal(beats(), asked + 1)
    assert.deepEqual(tokens.errors, [])
  })

  test("that is refused again while the session lives is trouble like any other", async () => {
    const tokens = keep()
    program.refreshes = [{ status: 401, reason: "no_session" }, { status: 401, reason: "no_session" }]
    await assert.rejects(tokens.accessToken(), { status: 401, retryInMs: 300_000 })
    assert.equal(session.state().state, "active")
    assert.equal(refreshes(), 2)
  })

  test("of a session that is over ends it, once, with the session's reason", async () => {
    const tokens = keep()
    /** @type {string[]} */
    const ends = []
    session.on("ended", ({ reason }) => ends.push(reason))
    program.refreshes = [{ status: 401, reason: "no_session" }]
    program.beat = OVER
    await assert.rejects(tokens.accessToken(), { message: OVER.detail, reason: "revoked" })
    await assert.rejects(tokens.refresh(), { reason: "revoked" })
    assert.deepEqual(ends, ["revoked"])
    assert.equal(refreshes(), 1)
  })

  test("that nobody can confirm is tried again later", async () => {
    const tokens = keep()
    program.refreshes = [{ status: 401, reason: "no_session" }]
    program.beat = { status: 503 }
    assert.equal(await tokens.accessToken(), "token-1")
    assert.equal(tokens.errors.length, 1)
    assert.equal(tokens.errors[0].status, undefined)
  })
})

describe("the end", () => {
  test("takes the token with it, and an answer that comes later brings none", async () => {
    const tokens = keep()
    let release = () => {}
    program.holds = new Promise((done) => (release = () => done(null)))
    const asking = assert.rejects(tokens.accessToken(), { reason: undefined })
    await until(() => refreshes() === 1, "the request")
    const ended = tokens.signOut()
    await assert.rejects(tokens.accessToken())
    release()
    await asking
    assert.equal((await ended).reason, "signed_out")
    await assert.rejects(tokens.accessToken())
    assert.deepEqual(tokens.news, [])
  })

  test("of a client that was stopped asks for nothing any more", async () => {
    program.lifeMs = 1_100
    const tokens = keep()
    page.type()
    await until(() => tokens.news.length === 1, "a token")
    session.stop()
    await assert.rejects(tokens.accessToken())
    await pass(1_500)
    assert.equal(refreshes(), 1)
  })

  test("that came before is known", async () => {
    session.end()
    await until(() => session.state().state === "ended", "the end")
    await assert.rejects(keep().accessToken())
    assert.equal(refreshes(), 0)
  })
})

describe("fetch", () => {
  const API = () => program.url + "/api/things"

  test("sends the token to this origin and to those that were named, and to nobody else", async () => {
    const elsewhere = program.url.replace("127.0.0.1", "localhost")
    const plain = keep()
    await plain.fetch(API())
    await plain.fetch(elsewhere + "/api/things")
    await keep({ origins: [elsewhere + "/"], prefix: "" }).fetch(new Request(elsewhere + "/api/things"))
    await keep({ prefix: "/other" }).fetch(API())
    assert.deepEqual(program.calls.map(({ authorization }) => authorization), ["Bearer token-1", undefined, "Bearer token-2", undefined])
  })

  test("leaves alone what the caller decided, and the session's own routes", async () => {
    const tokens = keep()
    await tokens.fetch(API(), { headers: { authorization: "Basic eA==" } })
    await tokens.fetch(endpoint + "/beat", { method: "POST" })
    const blob = URL.createObjectURL(new Blob(["mine"]))
    assert.equal(await (await tokens.fetch(blob)).text(), "mine")
    URL.revokeObjectURL(blob)
    assert.equal(program.calls[0].authorization, "Basic eA==")
    assert.equal(refreshes(), 0)
  })

  test("tries once more with a new token what was refused, body and all", async () => {
    const tokens = keep()
    program.refused = ["token-1"]
    const response = await tokens.fetch(API(), { method: "POST", body: "hello" })
    assert.deepEqual(await response.json(), { authorization: "Bearer token-2", body: "hello" })
    assert.deepEqual(program.calls.map(({ body }) => body), ["hello", "hello"])
  })

  test("refreshes once for many that were refused", async () => {
    const tokens = keep()
    await tokens.accessToken()
    program.refused = ["token-1"]
    const answers = await Promise.all(Array.from({ length: 10 }, () => tokens.fetch(API())))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    assert.equal(refreshes(), 2)
  })

  test("tries no third time, and gives the 401 where no other token is to be had", async () => {
    const tokens = keep()
    program.refused = ["token-1", "token-2"]
    assert.equal((await tokens.fetch(API())).status, 401)
    assert.equal(program.calls.length, 2)
    program.refused = ["token-2"]
    program.refreshes = [{ status: 404 }]
    const response = await tokens.fetch(API())
    assert.equal(response.status, 401)
    assert.equal((await response.json()).authorization, "Bearer token-2")
    assert.equal(program.calls.length, 3)
  })

  test("sends nothing where there is no token", async () => {
    const tokens = keep()
    program.refreshes = [{ status: 404 }]
    await assert.rejects(tokens.fetch(API()), { status: 404 })
    assert.equal(program.calls.length, 0)
  })
})
