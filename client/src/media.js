/**
 * Audible media that plays in a visible tab is somebody's activity: who watches a lesson touches nothing. What nobody hears, or what
 * would go on for ever by itself, is not.
 *
 * @import { Session } from "./types.js"
 */

/** Playing is told this often. */
const EVERY = 5_000

/**
 * Whether it can be heard and comes to an end: not paused, not muted, not in a loop, and with sound in it.
 * @param {HTMLMediaElement} media
 */
export const isAudible = (media) =>
  !media.paused && !media.ended && !media.muted && media.volume > 0 && !media.loop && hasSound(media)

/** Each browser tells it by a name of its own; one that does not tell is believed. @param {any} media @returns {boolean} */
const hasSound = ({ srcObject, mozHasAudio, webkitAudioDecodedByteCount, audioTracks }) =>
  !!(srcObject?.getAudioTracks?.().length ?? mozHasAudio ?? webkitAudioDecodedByteCount ?? audioTracks?.length ?? true)

/**
 * Counts playing as activity until the session is stopped, or what is returned is called. Events of media reach the document from
 * elements in it, also from later ones; an element outside of it, or the root of a shadow tree, can be given instead.
 * @param {Session} session
 * @param {{ root?: EventTarget }} [options]
 * @returns {() => void}
 */
export function watchMedia(session, { root = document } = {}) {
  let toldAt = -EVERY
  const listen = (/** @type {any} */ { isTrusted, target, timeStamp }) => {
    if (!isTrusted || document.visibilityState !== "visible" || timeStamp - toldAt < EVERY || !isAudible(target)) return
    toldAt = timeStamp
    session.activity()
  }
  // It comes a few times a second, and only while the media really moves on.
  root.addEventListener("timeupdate", listen, true)
  const undo = () => root.removeEventListener("timeupdate", listen, true)
  session.onStop(undo)
  return undo
}
