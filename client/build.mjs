/**
 * Builds the bundle that the Python package ships, and dist/ for npm. `--check` builds in memory and says whether the shipped one is
 * current; `--dist FOLDER` builds what npm ships into another folder, and nothing else.
 */
import { readFile, writeFile, mkdir } from "node:fs/promises"
import { gzipSync } from "node:zlib"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { minify } from "terser"
import { pack, readExtras } from "./dist.mjs"
import { inner } from "./names.mjs"

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url))
const target = here("../src/stillhere/http/static/")
/** Optional parts: file and its one function, which is the default of what a script tag loads. */
const PARTS = { tagging: "tagRequests", media: "watchMedia", frames: "watchFrames", heat: "createHeat", tokens: "keepTokens", logout: "logoutAtProvider" }
const { version, license } = JSON.parse(await readFile(here("package.json"), "utf8"))
/** What is aimed at; `docs/client.md` says how far we are. */
const GOAL = { "with dialog": 5_500, "engine alone": 3_000 }

/** The style sheet is written to be read; it is shipped without its white space. @type {import("esbuild").Plugin} */
const tightCss = {
  name: "tight-css",
  setup({ onLoad, esbuild }) {
    onLoad({ filter: /style\.js$/ }, async ({ path }) => {
      const { css } = await import(path)
      const { code } = await esbuild.transform(css, { loader: "css", minify: true })
      return { contents: `export const css = ${JSON.stringify(code.trim())}`, loader: "js" }
    })
  },
}

/** @param {import("esbuild").BuildOptions} options */
async function bundle(options) {
  const { outputFiles = [] } = await build({
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    write: false,
    plugins: [tightCss],
    mangleProps: inner,
    ...options,
  })
  // esbuild bundles and renames, terser finds 4 % more.
  const { code = "" } = await minify(outputFiles[0].text, {
    toplevel: true,
    module: options.format === "esm",
    compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true, pure_getters: true, ecma: 2020 },
    format: { ecma: 2020, comments: /^!/ },
  })
  return Buffer.from(code)
}

const built = await bundle({
  entryPoints: [here("src/auto.js")],
  banner: { js: `/*! stillhere ${version} | ${license} licence */` },
})
/** What the Python package ships, by file. @type {Record<string, Buffer>} */
const shipped = { "client.js": built }
for (const [name, start] of Object.entries(PARTS)) {
  const contents = `export { ${start} as default } from "./src/${name}.js"`
  shipped[`client/${name}.js`] = await bundle({ stdin: { contents, resolveDir: here(".") }, format: "esm" })
}
for (const [name, text] of Object.entries(await readExtras())) shipped["client/" + name] = Buffer.from(text)
const alone = `import { start } from "./src/beats.js"; window.stillhere = { start }`
const engine = await bundle({ stdin: { contents: alone, resolveDir: here(".") } })

const [verb, folder] = process.argv.slice(2)
if (verb === "--dist") await pack(folder, shipped, [tightCss])
else if (verb === "--check") {
  for (const [name, code] of Object.entries(shipped)) {
    const there = await readFile(target + name).catch(() => Buffer.alloc(0))
    if (there.equals(code)) continue
    console.error(`src/stillhere/http/static/${name} is stale: run \`npm run build\` in client/ and commit the result.`)
    process.exitCode = 1
  }
} else {
  await mkdir(target + "client", { recursive: true })
  for (const [name, code] of Object.entries(shipped)) await writeFile(target + name, code)
  await pack(here("dist"), shipped, [tightCss])
}

/** @type {(name: string, code: Buffer, goal?: number) => void} */
const tell = (name, code, goal) => {
  const gzip = gzipSync(code, { level: 9 }).length
  console.log(`${name.padEnd(17)} ${code.length} B raw, ${gzip} B gzip${goal ? ` (goal ${goal} B)` : ""}`)
}
tell("with dialog", built, GOAL["with dialog"])
tell("engine alone", engine, GOAL["engine alone"])
for (const name in PARTS) tell(`client/${name}.js`, shipped[`client/${name}.js`])
