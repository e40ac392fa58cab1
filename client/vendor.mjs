/**
 * Copies what the PDF viewer needs of pdf.js into the Python package. `--check` copies nothing and says whether what is there is current.
 */
import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url))
const source = here("node_modules/pdfjs-dist/")
const target = here("../src/stillhere/server/static/vendor/pdfjs/")
/** Single files by where they go; of folders everything but scripts, which no browser needs that this viewer runs in. */
const FILES = { 
  LICENSE: "LICENSE",
  // The build for browsers of the last years: readers bring what they have.
  "legacy/build/pdf.min.mjs": "pdf.min.mjs",
  "legacy/build/pdf.worker.min.mjs": "pdf.worker.min.mjs",
}
const FOLDERS = ["cmaps", "standard_fonts", "wasm"]

/** What belongs there, by where it goes. @type {Record<string, string>} */
const wanted = Object.fromEntries(Object.entries(FILES).map(([from, to]) => [to, from]))
for (const folder of FOLDERS) {
  for (const name of await readdir(source + folder)) {
    if (!name.endsWith(".js")) wanted[`${folder}/${name}`] = `${folder}/${name}`
  }
}

if (process.argv[2] === "--check") {
  const there = (await readdir(target, { recursive: true, withFileTypes: true }).catch(() => [])).filter((entry) => entry.isFile())
  const isSame = async (/** @type {[string, string]} */ [to, from]) =>
    (await readFile(source + from)).equals(await readFile(target + to).catch(() => Buffer.alloc(0)))
  const same = await Promise.all(Object.entries(wanted).map(isSame))
  if (there.length !== same.length || same.includes(false)) {
    console.error("src/stillhere/server/static/vendor/pdfjs is stale: run `node vendor.mjs` in client/ and commit the result.")
    process.exitCode = 1
  }
} else {
  await rm(target, { recursive: true, force: true })
  for (const [to, from] of Object.entries(wanted)) {
    await mkdir(dirname(target + to), { recursive: true })
    await cp(source + from, target + to)
  }
}
