/**
 * What npm ships, as those meet it who install it: packed, installed into a project of its own, imported, checked, bundled, rendered.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const client = fileURLToPath(new URL("..", import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), "stillhere-package-"))
const shop = join(scratch, "shop")
const app = join(scratch, "app")
const manifest = JSON.parse(readFileSync(join(client, "package.json"), "utf8"))

/** @param {string} where @param {string} program @param {string[]} words */
const run = (where, program, ...words) =>
  execFileSync(program, words, { cwd: where, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
/** Runs a module in the project; tells what it prints. @param {string} code */
const runModule = (code) => run(app, process.execPath, "--input-type=module", "--eval", code).trim()

mkdirSync(shop)
mkdirSync(app)
for (const name of ["package.json", "README.md", "LICENSE"]) cpSync(join(client, name), join(shop, name))
run(client, process.execPath, "build.mjs", "--dist", join(shop, "dist"))
const [packed] = JSON.parse(run(shop, "npm", "pack", "--json", "--ignore-scripts"))
/** @type {string[]} */
const files = packed.files.map((/** @type {{ path: string }} */ { path }) => path)
writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
run(app, "npm", "install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", join(shop, packed.filename))
mkdirSync(join(app, "node_modules/@types"))
for (const name of ["react", "react-dom", "scheduler", "csstype", "@types/react"]) {
  symlinkSync(join(client, "node_modules", name), join(app, "node_modules", name))
}
after(() => rmSync(scratch, { recursive: true }))

describe("the package", () => {
  test("holds what it says, and nothing else", () => {
    const known = /^(LICENSE|README\.md|package\.json|dist\/([a-z]+\/)?[A-Za-z-]+\.(js|js\.map|d\.ts|astro|json|svg))$/
    assert.deepEqual(files.filter((path) => !known.test(path)), [])
    assert.ok(["LICENSE", "README.md", "dist/client.js", "dist/SessionHeartbeat.astro"].every((path) => files.includes(path)), files.join())
    const targets = Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? target : Object.values(target)))
    for (const target of targets.filter((target) => !target.includes("*"))) assert.ok(existsSync(join(app, "node_modules/stillhere", target)), target)
    assert.ok(packed.size < 115_000, `${packed.size} bytes`)
  })

  test("tells of nothing but the project", () => {
    for (const path of files.filter((path) => path.endsWith(".map"))) {
      const { sources } = JSON.parse(readFileSync(join(app, "node_modules/stillhere", path), "utf8"))
      for (const source of sources) assert.match(source, /^[./\w-]*src\/[\w/-]+\.js$/, path)
    }
  })

  test("is ready to be published with its provenance", () => {
    assert.notEqual(manifest.private, true)
    assert.deepEqual(manifest.publishConfig, { access: "public", provenance: true })
    assert.equal(manifest.repository.directory, "client")
    assert.equal(manifest.dependencies, undefined)
    assert.equal(readFileSync(join(client, "LICENSE"), "utf8"), readFileSync(join(client, "../LICENSE"), "utf8"))
  })

  test("ships the very scripts that the server ships, side by side", () => {
    for (const name of ["client.js", "client/tagging.js", "client/media.js", "client/frames.js", "client/heat.js", "client/tokens.js", "client/logout.js"]) {
      const served = readFileSync(join(client, "../src/stillhere/http/static", name))
      assert.ok(served.equals(readFileSync(join(app, "node_modules/stillhere/dist", name))), name)
    }
  })

  test("is imported by Node, and touches no page by that", () => {
    for (const [path, names] of [
      ["stillhere", ["start"]],
      ["stillhere/headless", ["start"]],
      ["stillhere/beats", ["start"]],
      ["stillhere/react", ["useHeartbeat", "useSession"]],
      ["stillhere/tagging", ["tagRequests"]],
      ["stillhere/media", ["watchMedia"]],
      ["stillhere/frames", ["watchFrames"]],
      ["stillhere/heat", ["createHeat"]],
      ["stillhere/tokens", ["keepTokens"]],
      ["stillhere/logout", ["logoutAtProvider"]],
    ]) {
      const found = runModule(`console.log(Object.keys(await import("${path}")).join())`)
      assert.deepEqual(found.split(",").filter((name) => names.includes(name)), names)
    }
    assert.match(runModule(`console.log(import.meta.resolve("stillhere/astro"))`), /SessionHeartbeat\.astro$/)
    assert.match(runModule(`console.log(import.meta.resolve("stillhere/client.js"))`), /client\.js$/)
    assert.equal(runModule(`console.log((await import("stillhere/texts/de.json", { with: { type: "json" } })).default.lang)`), "de")
  })

  const page = `
    import { createElement } from "react"
    import { renderToString } from "react-dom/server"
    import { useHeartbeat, useSession } from "stillhere/react"
    function Page() {
      useHeartbeat({ onSessionExpired() {} })
      const { state, expiresInMs } = useSession({ tickMs: 1000 })
      return createElement("p", null, state + " " + expiresInMs)
    }
    console.log(renderToString(createElement(Page)))`

  test("is rendered on a server as a session of which nothing is known yet", () => {
    assert.equal(runModule(page), "<p>unknown null</p>")
  })

  test("is rendered so by React 18, too", async () => {
    const alias = { react: join(client, "node_modules/react-18"), "react-dom": join(client, "node_modules/react-dom-18") }
    const contents = page + `; console.log(require("react").version)`
    const outfile = join(app, "page-18.cjs")
    await build({ stdin: { contents, resolveDir: app }, bundle: true, platform: "node", format: "cjs", alias, outfile })
    assert.match(run(app, process.execPath, outfile), /^<p>unknown null<\/p>\n18\./)
  })
})

describe("its types", () => {
  const source = `
    import { start } from "stillhere"
    import { start as startHeadless } from "stillhere/headless"
    import { start as startBeats } from "stillhere/beats"
    import { step, initial } from "stillhere/machine"
    import { keepTokens } from "stillhere/tokens"
    import { logoutAtProvider } from "stillhere/logout"
    import { useHeartbeat, useSession } from "stillhere/react"
    import SessionHeartbeat, { type Props } from "stillhere/astro"

    const session = start({ interval: 60_000, login: false, onSessionExpired: (over) => over.reason.length })
    const left: number | null = session.state().expiresInMs
    const reason: Promise<string> = session.end().then((over) => over.reason)
    startHeadless({ endpoint: "/session" }).stop()
    startBeats({ onSessionExpired: ({ reason }) => reason }).stop()
    const tokens = keepTokens(session, { origins: ["https://api.example"], onRefreshed: ({ accessTokenInMs }) => accessTokenInMs.toFixed(),
      onError: ({ status, retryInMs }) => [status, retryInMs] })
    const token: Promise<string> = tokens.accessToken()
    const called: Promise<Response> = tokens.fetch(new URL("https://api.example/"), { method: "POST" })
    const provider: Promise<string | undefined> = tokens.signOut().then((over) => over.logoutUrl)
    logoutAtProvider(session)()
    step(initial({ view: "v" }), { type: "hidden" }, 0)
    export function Page() {
      const { state, expiresInMs, canExtend, extend, end, over } = useSession({ tickMs: 1_000, enabled: true })
      useHeartbeat({ endpoint: "/beat", intervalMs: 1, activityWindowMs: 1, enabled: true, onRefreshed: (answer) => answer.expiresInMs,
        onSessionExpired: ({ reason }) => reason, onError: (error) => error.message + error.status })
      if (state === "expiring" && canExtend) extend()
      return [expiresInMs, over?.reason, end()]
    }
    const props: Props = { interval: 60_000, debug: true, "data-x": "y" }
    // @ts-expect-error: milliseconds are numbers
    start({ interval: "60000" })
    // @ts-expect-error: no such state
    if (session.state().state === "asleep") session.stop()
    // @ts-expect-error: no such option
    useHeartbeat({ intervalSeconds: 1 })
    export { SessionHeartbeat, called, left, props, provider, reason, token }
  `
  for (const moduleResolution of ["bundler", "nodenext"]) {
    test(`are understood with moduleResolution ${moduleResolution}`, () => {
      const name = `${moduleResolution}.ts`
      writeFileSync(join(app, name), source)
      const module = moduleResolution === "bundler" ? "esnext" : "nodenext"
      const strict = ["--noEmit", "--strict", "--skipLibCheck", "false", "--types", "", "--lib", "es2022,dom,dom.iterable"]
      const options = [...strict, "--module", module, "--moduleResolution", moduleResolution, name]
      assert.equal(run(app, process.execPath, join(client, "node_modules/typescript/bin/tsc"), ...options), "")
    })
  }
})

describe("its bundles", () => {
  /** Bundles what an application writes; tells which of our modules are in it. @param {string} contents */
  async function modulesIn(contents) {
    const { metafile, outputFiles } = await build({
      stdin: { contents, resolveDir: app },
      bundle: true,
      minify: true,
      format: "esm",
      external: ["react"],
      metafile: true,
      write: false,
      logLevel: "error",
    })
    const [{ inputs }] = Object.values(metafile.outputs)
    const used = Object.entries(inputs).filter(([path, { bytesInOutput }]) => path.includes("stillhere/dist/") && bytesInOutput)
    return { modules: used.map(([path]) => path.replace(/.*\/dist\/|\.js$/g, "")), code: outputFiles[0].text }
  }

  test("are empty where nothing is used", async () => {
    for (const path of ["stillhere", "stillhere/headless", "stillhere/beats", "stillhere/react", "stillhere/machine", "stillhere/tokens", "stillhere/logout"]) {
      assert.deepEqual((await modulesIn(`import "${path}"; import * as all from "${path}"`)).modules, [], path)
    }
  })

  test("hold the dialog only where it can show", async () => {
    const looks = ["dialog", "style"]
    const has = async (/** @type {string} */ code) => (await modulesIn(code)).modules.filter((name) => looks.includes(name)).sort()
    assert.deepEqual(await has(`import { start } from "stillhere"; start()`), looks)
    assert.deepEqual(await has(`import { start } from "stillhere/headless"; start()`), [])
    assert.deepEqual(await has(`export { useSession } from "stillhere/react"`), looks)
    assert.deepEqual(await has(`export { useHeartbeat } from "stillhere/react"`), [])
  })

  test("hold nothing of warning, ending, stream or queue where only beats are wanted", async () => {
    const { modules } = await modulesIn(`export { start } from "stillhere/beats"`)
    const parts = ["assemble", "dialog", "ending", "guard", "push", "queue", "veil"]
    assert.deepEqual(modules.filter((name) => parts.includes(name)), [])
    assert.ok(modules.includes("engine"))
  })

  test("hold no engine where only tokens are kept", async () => {
    const { modules } = await modulesIn(`export { keepTokens } from "stillhere/tokens"`)
    assert.deepEqual(modules.sort(), ["bus", "clock", "tokens"])
  })

  test("hold one engine, however many doors lead to it", async () => {
    const { modules } = await modulesIn(`import { start } from "stillhere"; export { useSession } from "stillhere/react"; start()`)
    assert.equal(modules.filter((name) => name === "engine").length, 1)
  })

  test("keep what marks the hooks as the browser's", () => {
    assert.match(readFileSync(join(app, "node_modules/stillhere/dist/react.js"), "utf8"), /^"use client";/)
  })
})

test("every module of the source is shipped", () => {
  const modules = readdirSync(join(client, "src")).filter((name) => name.endsWith(".js") && name !== "auto.js")
  for (const name of modules) assert.ok(files.includes(`dist/${name}`), name)
})
