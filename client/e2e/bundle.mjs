/**
 * Bundles the page of the React tests: `node e2e/bundle.mjs OUT REACT MODE DIST`, with React 18 or 19, for development or production,
 * over the package as it was built into DIST.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const [outfile, react, mode, dist] = process.argv.slice(2)
const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url))

await build({
  entryPoints: [here("react.js")],
  outfile,
  bundle: true,
  format: "iife",
  target: "es2022",
  minify: mode === "production",
  define: { "process.env.NODE_ENV": JSON.stringify(mode) },
  nodePaths: [here("../node_modules")],
  alias: react === "18" ? { react: "react-18", "react-dom": "react-dom-18" } : {},
  plugins: [{
    name: "the package as built",
    setup: ({ onResolve }) => onResolve({ filter: /^\.\.\/src\// }, ({ path }) => ({ path: join(dist, path.slice("../src/".length)) })),
  }],
})
