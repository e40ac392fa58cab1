/**
 * Bundles the page of an example, with the libraries that are installed here: `node client/example.mjs examples/bearer_timeout`.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const folder = process.argv[2]
await build({
  entryPoints: [join(folder, "page.tsx")],
  outfile: join(folder, "built/page.js"),
  bundle: true,
  minify: true,
  jsx: "automatic",
  nodePaths: [fileURLToPath(new URL("node_modules", import.meta.url))],
  define: { "import.meta.env.VITE_API_URL": '"/v1"', "process.env.NODE_ENV": '"production"' },
  logLevel: "error",
})
