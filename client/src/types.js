/**
 * The shapes that travel between the files. No code.
 *
 * @typedef {"check" | "beat" | "extend" | "leave"} Kind  of a message; see spec/protocol.md
 * @typedef {"unknown" | "active" | "expiring" | "ended"} StateName
 *   `unknown`: the server's word is missing, either not yet given or outlived by its own deadline
 *
 * @typedef {object} Answer  the server's 200
 * @property {string} [state]
 * @property {number} expiresInMs
 * @property {number} idleInMs
 * @property {number} absoluteInMs
 * @property {number} warnInMs
 * @property {number} nextBeatMs
 * @property {boolean} canExtend
 * @property {string | null} [accessTokenExpiresAt]
 * @property {number} [touchMs]  how much later than it happened the server may know of activity; the spans above are the certain ones
 * @property {string} [reason]  only in the answer of /session/end
 *
 * @typedef {object} Over  why and when the session ended
 * @property {string} reason
 * @property {string} [detail]  the server's sentence for people
 * @property {string} [endedAt]  ISO 8601
 * @property {string} [logoutUrl]  where a person who signed out here can sign out at their provider, too
 *
 * @typedef {object} Body  the part of a message that the machine knows
 * @property {Kind} kind
 * @property {number} seq
 * @property {string} view
 * @property {number} visibleMs
 * @property {number} activeMs
 * @property {number} [idleMs]
 * @property {string} lifecycle
 * @property {number} [ageMs]
 * @property {string} [heat]  of stillhere/heat
 * @property {string} [bands]  of stillhere/heat
 *
 * @typedef {object} Countdown  what is left of an answer some time later
 * @property {StateName} state
 * @property {number | null} expiresInMs
 * @property {number | null} warnInMs
 * @property {number | null} idleInMs
 * @property {number | null} absoluteInMs
 *
 * @typedef {{ canExtend: boolean, failures: number, visibleMs: number, activeMs: number, idleMs: number | null, view: string }} Totals
 * @typedef {Countdown & Totals & { tab: string }} Snapshot
 *
 * @typedef {{ type: "answer", answer: Answer, body: Body, ageMs?: number }
 *   | { type: "over", over: Over, body?: Body, ageMs?: number, isOld?: boolean }
 *   | { type: "failed", body: Body, random: number, message: string, status?: number, retryAfterMs?: number, patienceMs?: number, ageMs?: number
 *     }} Outcome  `patienceMs`: our own, instead of the backoff
 * @typedef {{ type: "ride" | "dismiss" }
 *   | { type: "heard", answer: Answer, ageMs: number, views?: string[] }
 *   | { type: "waits", retryInMs: number, retryAfterMs: number }
 *   | { type: "evidence", ageMs: number }
 *   | { type: "over", over: Over, ageMs: number, isOld: boolean, body?: undefined }} Overheard  what tabs tell each other
 * @typedef {{ type: "hidden" | "online" | "pagehide" | "freeze" | "timer"
 *   | "stay" | "dismiss" | "check" | "beat" | "end" | "stop" }
 *   | { type: "input", ageMs?: number } | { type: "visible", view: string } | { type: "navigated", view: string, scrollPct: number } | { type: "restored", view: string, visible: boolean } | Outcome | Overheard} Event
 *
 * @typedef {{ type: "send", path: string, body: Body }
 *   | { type: "beacon", path: string, body: Body }
 *   | { type: "keep", body: Body | null, scrollPct: number }
 *   | { type: "ride" | "will", body: Body }
 *   | { type: "timer", at: number }
 *   | { type: "warn" } | { type: "unwarn" } | { type: "redirect" }
 *   | Emitted} Effect
 * @typedef {{ type: "state" | "expiring" | "extended" }
 *   | { type: "refreshed", detail: Answer }
 *   | { type: "ended", detail: Over, ageMs?: number, isOld?: boolean }
 *   | { type: "error", detail: { message: string, status?: number, retryInMs: number, retryAfterMs: number } }} Emitted
 *   without detail the snapshot is told
 *
 * @typedef {"stay" | "dismiss" | "check" | "beat" | "end" | "stop" | "input" | "timer"} Saying  what parts and applications tell the machine
 *
 * @typedef {object} Host  what the engine offers its parts
 * @property {string} name  of this client in the browser's storage, locks and channels
 * @property {(type: Saying) => void} say
 * @property {(event: Event) => void} dispatch  tells the machine, with facts
 * @property {(message: Overheard) => void} tell  tells other tabs
 *
 * @typedef {Partial<{
 *   warn: (snapshot: Snapshot) => void
 *   unwarn: () => void
 *   refreshed: (answer: Answer) => void
 *   ended: (over: Over) => void
 *   redirect: () => void
 *   title: () => string
 *   keep: (beat: object) => void
 *   owed: () => object[]
 *   forget: (beats: object[]) => void
 *   state: (snapshot: Snapshot) => void
 *   will: (body?: object) => void
 *   close: (type: "pagehide" | "stop" | "freeze") => void
 *   [type: string]: any
 * }>} Parts  what effects look like; a part that is missing shows nothing
 *
 * @typedef {object} UI  the part that people see; left out when headless
 * @property {(snapshot: Snapshot) => void} warn
 * @property {(over: Over, leave: (() => void) | null, isUnsaved?: boolean) => void} notice
 * @property {() => void} sealPage  what the page shows can be neither read nor used
 * @property {() => string} title  of the page, without what is added while the warning shows
 * @property {() => void} hide
 *
 * @typedef {object} Options
 * @property {string} [endpoint]  where the session routes are; default "/session"
 * @property {string} [beatPath]  where beats are posted; default "/beat" below that
 * @property {number} [interval]  ms between two beats; wins over the server's when shorter
 * @property {string | false} [login]  the sign-in page; default "/"; false: no redirect
 * @property {number} [activityWindow]  ms after an input in which a person still counts as active; default 120000
 * @property {string | (() => string)} [page]  what to call this page, or what tells; default its path
 * @property {boolean} [push]  false: don't listen to the server's own voice
 * @property {() => boolean} [stretch]  whether to beat half as often; default: data or battery are being saved
 * @property {boolean} [dialog]  false: no dialog and no notice, events only
 * @property {number} [notice]  ms the ending notice stays before the redirect; default 2500, at least 500
 * @property {boolean} [debug]  console.debug every message
 * @property {string} [lang]  language of dialog and notice; default the page's, or else the browser's
 * @property {Record<string, string>} [texts]  replaces any of the texts in texts.js, or a reason's sentence
 * @property {(why: Over | Snapshot) => void | Promise<unknown>} [saveDrafts]  called when the final warning shows and when the session ended;
 *   waited for 3 s before the page is left
 * @property {(over: Over) => void} [onSessionExpired]  with this and no `login`, the ending is the application's own affair
 * @property {(answer: Answer) => void} [onRefreshed]
 * @property {(error: Error) => void} [onError]
 *
 * @typedef {object} Session
 * @property {() => Snapshot} state
 * @property {(name: string, fn: (detail: any) => void) => () => void} on
 * @property {() => void} check
 * @property {() => void} beat
 * @property {() => void} extend
 * @property {() => void} activity
 * @property {() => Promise<Over>} end
 * @property {(quiet: boolean) => void} quiet
 * @property {(fn: () => void) => void} onStop  called by stop()
 * @property {() => void} stop
 */
export {}
