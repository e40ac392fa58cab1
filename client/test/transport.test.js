import assert from "node:assert/strict"
import { createServer } from "node:http"
import { after, before, test } from "node:test"
import { send } from "../src/transport.js"

/** @type {{ status: number, headers?: Record<string, string>, body?: string, hold?: boolean, afterwards?: any }} */
let reply
/** @type {{ headers: import("node:http").IncomingHttpHeaders, body: string }} */
let got
const server = createServer(async (request, response) => {
  let body = ""
  for await (const chunk of request) body += chunk
  got = { headers: request.headers, body }
  if (!reply.hold) response.writeHead(reply.status, reply.headers).end(reply.body)
  if (reply.afterwards) reply = reply.afterwards
})
let url = ""
before(async () => {
  await new Promise((done) => server.listen(0, "127.0.0.1", () => done(null)))
  url = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}/session/beat`
})
after(() => void (server.closeAllConnections(), server.close()))

/** @type {import("../src/types.js").Body} */
const body = { kind: "beat", seq: 0, view: "v", visibleMs: 0, activeMs: 0, lifecycle: "active" }
/** @param {typeof reply} answer @returns {Promise<any>} */
const ask = async (answer) => {
  reply = answer
  return send(url, body, { ...body, tab: "t" }, true)
}

test("a 200 is an answer, and the message is JSON with the header that no form can set", async () => {
  const outcome = await ask({ status: 200, body: '{"expiresInMs": 5, "success": true}' })
  assert.deepEqual([outcome.type, outcome.answer], ["answer", { expiresInMs: 5, success: true }])
  assert.equal(outcome.body, body)
  assert.equal(got.headers["x-stillhere"], "1")
  assert.equal(got.headers["content-type"], "application/json")
  assert.deepEqual(JSON.parse(got.body), { ...body, tab: "t" })
})

test("a 401 with the server's reason is the end; one without is somebody else's, and trouble", async () => {
  assert.deepEqual((await ask({ status: 401, body: '{"reason": "absolute"}' })).over, { reason: "absolute" })
  for (const body of ["<html>", "", "{}", "null"]) assert.equal((await ask({ status: 401, body })).type, "failed", body)
})

test("a message that a new id overtook is sent again with it, once, before the end is believed", async () => {
  const gone = { status: 401, body: '{"reason": "no_session"}' }
  const lives = { status: 200, body: '{"expiresInMs": 5}' }
  assert.equal((await ask({ ...gone, afterwards: lives })).type, "answer")
  assert.equal((await ask({ ...gone, afterwards: { ...gone, afterwards: lives } })).type, "over")
  assert.equal((await ask({ status: 401, body: '{"reason": "idle"}', afterwards: lives })).type, "over")
})

test("503 and 429 ask for patience, for as long as they say", async () => {
  for (const status of [503, 429]) {
    const { type, retryAfterMs } = await ask({ status, headers: { "Retry-After": "7" } })
    assert.deepEqual([type, retryAfterMs], ["failed", 7_000])
  }
})

test("a Retry-After that is absurd or a date is no promise", async () => {
  assert.equal((await ask({ status: 503, headers: { "Retry-After": "999999999" } })).retryAfterMs, 3_600_000)
  assert.equal((await ask({ status: 503, headers: { "Retry-After": "Sat, 21 Nov 2026 10:00:00 GMT" } })).retryAfterMs, 0)
})

test("a refusal that would only repeat is left alone for minutes", async () => {
  for (const status of [400, 403, 404, 405, 413, 415, 422]) {
    const { type, patienceMs, retryAfterMs, message } = await ask({ status, body: '{"detail": "no"}' })
    assert.deepEqual([type, patienceMs, retryAfterMs, message], ["failed", 300_000, 0, "no"])
  }
  for (const status of [408, 425, 500, 502]) assert.equal((await ask({ status })).patienceMs, undefined)
})

test("a page of HTML or half an answer is trouble, not an end", async () => {
  assert.equal((await ask({ status: 200, body: "<html>Sign in to the Wi-Fi</html>" })).type, "failed")
  assert.equal((await ask({ status: 200, body: "{}" })).type, "failed")
})

test("a redirect is not followed", async () => {
  assert.equal((await ask({ status: 302, headers: { Location: "/login" } })).type, "failed")
})

test("silence ends after the timeout, and a dead server at once", async () => {
  const { timeout } = AbortSignal
  const patience = /** @type {number[]} */ ([])
  AbortSignal.timeout = (ms) => (patience.push(ms), timeout.call(AbortSignal, 50))
  try {
    assert.equal((await ask({ status: 200, hold: true })).type, "failed")
  } finally {
    AbortSignal.timeout = timeout
  }
  assert.deepEqual(patience, [10_000])
  const outcome = await send("http://127.0.0.1:9/", body, body)
  assert.equal(outcome.type, "failed")
})

test("the answer to a sign-out needs no deadline", async () => {
  reply = { status: 200, body: '{"success": true, "reason": "signed_out"}' }
  const outcome = await send(url, { ...body, kind: "leave" }, body)
  assert.equal(outcome.type, "answer")
})
