/**
 * Builds what npm ships: each module by itself, so that applications bundle only what they use, with its types;
 * the bundle for a script tag; the Astro component.
 */
import { spawnSync } from "node:child_process"
import { copyFile, cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { inner } from "./names.mjs"

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url))

/** What the server ships beside the bundle, by name: the texts of each language, the dot of the hints. */
export async function readExtras() {
  /** @type {Record<string, string>} */
  const extras = { "dot.svg": await readFile(here("src/dot.svg"), "utf8") }
  for (const name of await readdir(here("src/texts"))) extras[name] = JSON.stringify(JSON.parse(await readFile(here("src/texts/" + name), "utf8")))
  return extras
}

/**
 * @param {string} dist  the folder, which is emptied first
 * @param {Record<string, Uint8Array>} scripts  for a script tag, by file
 * @param {import("esbuild").Plugin[]} plugins
 */
export async function pack(dist, scripts, plugins) {
  await rm(dist, { recursive: true, force: true })
  await mkdir(join(dist, "client"), { recursive: true })
  const sources = await readdir(here("src"), { recursive: true })
  /** @type {import("esbuild").BuildOptions} */
  const common = {
    entryPoints: sources.filter((name) => name.endsWith(".js") && name !== "auto.js").map((name) => here("src/" + name)),
    outdir: dist,
    outbase: here("src"),
    format: "esm",
    minify: true,
    target: "es2020",
    charset: "utf8",
    plugins,
    mangleProps: inner,
  }
  // Built one by one, the modules still have to agree on names; the best ones are found when all are seen at once.
  const { mangleCache } = await build({ ...common, bundle: true, external: ["react"], mangleCache: {}, write: false })
  await build({ ...common, sourcemap: true, mangleCache })
  for (const [name, code] of Object.entries(scripts)) await writeFile(join(dist, name), code)
  await cp(here("src/texts"), join(dist, "texts"), { recursive: true })
  for (const name of ["SessionHeartbeat.astro", "astro.d.ts"]) await copyFile(here("src/" + name), join(dist, name))
  const types = spawnSync(process.execPath, [here("node_modules/typescript/bin/tsc"), "-p", here("tsconfig.dist.json"), "--outDir", dist], {
    stdio: "inherit",
  })
  if (types.status) process.exitCode = 1
}
