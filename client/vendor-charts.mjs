/**
 * Bundles what the dashboard's charts need of Observable Plot into the Python package. `--check` builds in memory and says whether the
 * shipped file is current.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { gzipSync } from "node:zlib"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url))
const folder = here("../src/stillhere/server/static/vendor/")
const NAME = "plot.js"

/** The marks that the charts draw with; everything else is left out. */
const USED = ["areaY", "axisX", "axisY", "barX", "barY", "dot", "gridX", "gridY", "lineY", "plot", "pointerX", "pointerY", "ruleX", "ruleY", "text", "tickX", "tip"]

/** What Plot puts into a page as a `<style>`, which our Content-Security-Policy forbids. `admin-charts.css` says the same. */
const INLINE = /(svg|div)\.(?:append\("style"\)|insert\("style", "\*"\))\.text\(\s*`[^`]*`\s*\)/

/** Leaves those style sheets out, and fails when they are no longer found. @type {import("esbuild").Plugin} */
const withoutInlineStyle = {
  name: "without-inline-style",
  setup({ onLoad }) {
    onLoad({ filter: /@observablehq\/plot\/src\/(plot|legends\/ramp|legends\/swatches)\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8")
      if (!INLINE.test(source)) throw new Error(`${path} has no inline style sheet any more: see that none is elsewhere`)
      return { contents: source.replace(INLINE, "$1"), loader: "js" }
    })
  },
}

/** @param {string} name */
const versionOf = async name => JSON.parse(await readFile(here(`node_modules/${name}/package.json`), "utf8")).version

const { outputFiles = [], metafile } = await build({
  stdin: { contents: `export { ${USED.join(", ")} } from "@observablehq/plot"`, resolveDir: here(".") },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  write: false,
  metafile: true,
  plugins: [withoutInlineStyle],
  banner: {
    js: `/*! Observable Plot ${await versionOf("@observablehq/plot")}, ISC licence, and parts of D3, ISC licence. Texts: plot.LICENSE.txt. Made by client/vendor-charts.mjs. */`,
  },
})

/** The licences of everything that is in the bundle, one after the other. */
async function licences() {
  const packages = new Set(Object.keys(metafile?.inputs ?? {}).flatMap(path => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []))
  const texts = await Promise.all([...packages].sort().map(async name =>
    `${name} ${await versionOf(name)}\n\n${(await readFile(here(`node_modules/${name}/LICENSE`), "utf8")).trim()}\n`))
  return Buffer.from(texts.join(`\n${"-".repeat(78)}\n\n`))
}

/** @type {Record<string, Buffer>} */
const made = { [NAME]: Buffer.from(outputFiles[0].contents), "plot.LICENSE.txt": await licences() }

if (process.argv[2] === "--check") {
  for (const [name, content] of Object.entries(made)) {
    const there = await readFile(folder + name).catch(() => Buffer.alloc(0))
    if (there.equals(content)) continue
    console.error(`src/stillhere/server/static/vendor/${name} is stale: run \`node vendor-charts.mjs\` in client/ and commit the result.`)
    process.exitCode = 1
  }
} else {
  await mkdir(folder, { recursive: true })
  for (const [name, content] of Object.entries(made)) await writeFile(folder + name, content)
  console.log(`${NAME} ${made[NAME].length} B raw, ${gzipSync(made[NAME], { level: 9 }).length} B gzip`)
}
