/**
 * All words. English is here; other languages come from beside the routes while nobody needs them yet.
 *
 * @import { Options } from "./types.js"
 */

/** Any of them can be replaced; a sentence for the reason of an ending goes by the reason's name. */
export const TEXTS = {
  lang: "en",
  dir: "ltr",
  title: "Are you still here?",
  body: "You will be signed out soon because nothing has happened here for a while.",
  finalTitle: "Your session is ending",
  finalBody: "It can’t be extended any more. Please save your work.",
  stay: "Stay signed in",
  end: "Sign out",
  ok: "OK",
  trouble: "The server can’t be reached. Trying again…",
  overTitle: "Session over",
  over: "Please sign in again.",
  signed_out: "You have signed out.",
  unsaved: "What you typed here has not been saved. Copy it before you sign in.",
  signIn: "Sign in",
}

/** @typedef {typeof TEXTS & Record<string, string>} Texts */

/**
 * The texts of the page's language, if it is one that we have; nothing if they can't be had.
 * @param {Options} options
 * @returns {Promise<Partial<Texts> | undefined>}
 */
export async function loadTexts({ lang = document.documentElement.lang || navigator.language, endpoint = "/session" }) {
  const name = lang.toLowerCase().match(/^(de|fr|es|zh|ar)\b/)?.[0]
  try {
    // A refusal is JSON, too, and has a title.
    const answer = name && (await fetch(`${endpoint}/client/${name}.json`))
    return answer && answer.ok ? await answer.json() : undefined
  } catch {
    return undefined
  }
}
