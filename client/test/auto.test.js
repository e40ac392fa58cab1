/**
 * What the script tag is told arrives: every attribute of the table in docs/client.md, in the options of start() or as a part that is
 * loaded.
 */
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { fileURLToPath, pathToFileURL } from "node:url"
import { build } from "esbuild"
import { replaceGlobals } from "./browser.js"

const scratch = mkdtempSync(join(tmpdir(), "stillhere-tag-"))
after(() => rmSync(scratch, { recursive: true }))
const src = pathToFileURL(join(scratch, "client.js")).href

// The real script, over a start() that only remembers; its optional parts lie beside it, as they do on a server.
await build({
  entryPoints: [fileURLToPath(new URL("../src/auto.js", import.meta.url))],
  outfile: join(scratch, "client.mjs"),
  bundle: true,
  format: "esm",
  plugins: [{
    name: "remember",
    setup({ onLoad }) {
      onLoad({ filter: /index\.js$/ }, () => ({ contents: "export const start = (options) => globalThis.started(options)" }))
    },
  }],
})
mkdirSync(join(scratch, "client"))
const names = ["tagging", "media", "frames", "heat", "tokens", "logout"]
for (const part of names) {
  writeFileSync(join(scratch, `client/${part}.js`), `export default (session, options) => (session.parts("${part}", options), "what ${part} gives")`)
}

let runs = 0
/**
 * Runs the script in a page whose tag has these attributes.
 * @param {Record<string, string>} attributes
 * @returns {Promise<{ starts: any[], parts: Record<string, any>, api: any }>}
 */
async function load(attributes) {
  const dataset = Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name.slice(5).replace(/-./g, ([, letter]) => letter.toUpperCase()), value]),
  )
  /** @type {any} */
  const found = { starts: [], parts: {} }
  const session = {
    parts: (/** @type {string} */ name, /** @type {object} */ options) => (found.parts[name] = options),
    onStop: (/** @type {() => void} */ fn) => (found.stop = fn),
  }
  const window = {}
  const restore = replaceGlobals({
    window,
    document: { currentScript: { src, dataset } },
    started: (/** @type {object} */ options) => (found.starts.push(options), session),
  })
  await import(`${pathToFileURL(join(scratch, "client.mjs")).href}?${runs++}`)
  restore()
  // What the script began to load is loaded when these are.
  for (const name of names) await import(new URL(`client/${name}.js`, src).href)
  return { ...found, api: /** @type {any} */ (window).stillhere }
}

/** Attribute, its value, what start() is given. @type {[string, string, Record<string, unknown>][]} */
const OPTIONS = [
  ["data-interval", "60000", { interval: 60_000 }],
  ["data-activity-window", "5000", { activityWindow: 5_000 }],
  ["data-endpoint", "/other", { endpoint: "/other" }],
  ["data-login", "/sign-in", { login: "/sign-in" }],
  ["data-login", "off", { login: false }],
  ["data-page", "the cover", { page: "the cover" }],
  ["data-dialog", "off", { dialog: false }],
  ["data-push", "off", { push: false }],
  ["data-notice", "700", { notice: 700 }],
  ["data-debug", "", { debug: true }],
  ["data-lang", "de", { lang: "de" }],
]
/** Attribute, its value, which part is loaded with which prefix. @type {[string, string, string, string][]} */
const PARTS = [
  ["data-tag-requests", "", "tagging", ""],
  ["data-tag-requests", "/api/", "tagging", "/api/"],
  ["data-media", "", "media", ""],
  ["data-frames", "", "frames", ""],
  ["data-heat", "", "heat", ""],
  ["data-tokens", "", "tokens", ""],
  ["data-tokens", "/api/", "tokens", "/api/"],
  ["data-logout-at-provider", "", "logout", ""],
]

test("a tag without attributes starts with what is usual, beside the script", async () => {
  const { starts, parts, api } = await load({})
  const said = Object.fromEntries(Object.entries(starts[0]).filter(([, value]) => value !== undefined))
  assert.deepEqual(said, { endpoint: new URL(".", src).pathname.slice(0, -1), dialog: true, push: true, debug: false })
  assert.equal(starts.length, 1)
  assert.deepEqual(parts, {})
  assert.ok(api.session)
})

for (const [name, value, expected] of OPTIONS) {
  test(`${name}="${value}" arrives`, async () => {
    const [usual] = (await load({})).starts
    const { starts } = await load({ [name]: value })
    assert.deepEqual(starts, [{ ...usual, ...expected }])
  })
}

for (const [name, value, part, prefix] of PARTS) {
  test(`${name}="${value}" loads its part, which is promised by its name`, async () => {
    const { parts, api } = await load({ [name]: value })
    assert.equal(await api[part], `what ${part} gives`)
    assert.deepEqual(Object.keys(parts), [part])
    assert.equal(parts[part].prefix, prefix)
  })
}

test("data-manual starts nothing; start() then adds to what the tag says", async () => {
  const { starts, api } = await load({ "data-manual": "", "data-interval": "60000" })
  assert.equal(starts.length, 0)
  const restore = replaceGlobals({ started: (/** @type {object} */ options) => (starts.push(options), { onStop() {} }) })
  api.start({ page: "/own" })
  restore()
  assert.deepEqual([starts[0].interval, starts[0].page], [60_000, "/own"])
})

test("every documented attribute is among these, and every one of these is documented", () => {
  const table = readFileSync(new URL("../../docs/client.md", import.meta.url), "utf8")
  const documented = [...table.matchAll(/^\| `(data-[a-z-]+)/gm)].map(([, name]) => name)
  const proven = [...OPTIONS, ...PARTS, ["data-manual"]].map(([name]) => name)
  assert.deepEqual(new Set(documented), new Set(proven))
})

test("a client that was stopped is not offered any longer", async () => {
  const { api, stop } = /** @type {any} */ (await load({}))
  assert.ok(api.session)
  stop()
  assert.equal(api.session, undefined)
})
