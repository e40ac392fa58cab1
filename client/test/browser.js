/**
 * Just enough of a browser for the engine to run in Node: a window whose events the test fires, storage, and a program that answers over
 * real HTTP. The channel between tabs is Node's own. What only a real browser can prove is in tests/e2e.
 */
import { setMaxListeners } from "node:events"
import { createServer } from "node:http"

/** A Storage: properties are texts, and so is what is read from them. */
export const createStorage = () =>
  new Proxy(/** @type {Record<string, string>} */ ({}), { set: (kept, name, value) => ((kept[String(name)] = String(value)), true) })

/** @param {Record<string, any>} given  replaces globals until it is called back */
export function replaceGlobals(given) {
  const before = new Map(Object.keys(given).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]))
  for (const [name, value] of Object.entries(given)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true })
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor)
      else delete (/** @type {any} */ (globalThis)[name])
    }
  }
}

/** The signal of all listeners of a page. */
setMaxListeners(100)

/** A page in front, before any client runs in it. */
export function openPage() {
  const window = new EventTarget()
  const page = {
    document: {
      visibilityState: "visible",
      hidden: false,
      title: "A page",
      body: { style: { cssText: "" } },
      hasFocus: () => true,
      documentElement: { scrollTop: 0, clientHeight: 500, scrollHeight: 1_000 },
    },
    location: { pathname: "/first" },
    navigator: {
      onLine: true,
      beacons: /** @type {string[]} */ ([]),
      sendBeacon: (/** @type {string} */ _, /** @type {string} */ body) => !!page.navigator.beacons.push(body),
    },
    sessionStorage: createStorage(),
    localStorage: createStorage(),
  }
  const reportError = (/** @type {unknown} */ error) => queueMicrotask(() => { throw error })
  const restore = replaceGlobals({ window, ...page, reportError, addEventListener: window.addEventListener.bind(window) })
  const fire = (/** @type {string} */ type, /** @type {object} */ facts = {}) => {
    const event = new Event(type)
    for (const [name, value] of Object.entries(facts)) Object.defineProperty(event, name, { value })
    window.dispatchEvent(event)
  }
  return {
    ...page,
    fire,
    restore,
    /** A person's key. */
    type: () => fire("keydown", { isTrusted: true }),
    /** @param {boolean} visible */
    show(visible) {
      Object.assign(page.document, { visibilityState: visible ? "visible" : "hidden", hidden: !visible })
      fire("visibilitychange")
    },
    /** @param {string} path */
    go(path) {
      page.location.pathname = path
      fire("popstate")
    },
    /** What was said by beacon. @returns {Promise<any[]>} */
    beacons: () => Promise.all(page.navigator.beacons.map((body) => JSON.parse(body))),
  }
}

export const LIVES = {
  state: "active", expiresInMs: 1_200_000, idleInMs: 1_200_000, absoluteInMs: 86_400_000, warnInMs: 1_080_000, nextBeatMs: 5_000,
  canExtend: true,
}

/** A program that answers beats as it is told to. */
export async function startProgram() {
  const program = {
    url: "",
    /** @type {any[]} bodies, as they came */
    heard: [],
    /** @type {any} an answer's body; with `status` and `headers` for trouble */
    reply: LIVES,
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
  const server = createServer(async (request, response) => {
    let body = ""
    for await (const chunk of request) body += chunk
    program.heard.push(JSON.parse(body))
    const { status = 200, headers = {}, ...answer } = program.reply
    response.writeHead(status, headers).end(JSON.stringify(answer))
  })
  await new Promise((done) => server.listen(0, "127.0.0.1", () => done(null)))
  program.url = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}/session`
  return program
}

/** Looks often until a condition holds. @param {() => unknown} condition @param {string} what */
export async function until(condition, what) {
  const end = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("waited in vain for " + what)
    await new Promise((done) => setTimeout(done, 5))
  }
}
